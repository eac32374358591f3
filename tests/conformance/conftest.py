"""The names that the conformance tests share stand in `tests.speaker`."""

from tests.speaker import FORM, PASSWORD, Client, Speaker, basic, told

__all__ = ["FORM", "PASSWORD", "Client", "Speaker", "basic", "told"]
