"""What runs when it is unpickled, and so shows that what was planted was unpickled."""

from typing import Any, Final

RAN: Final[list[str]] = []


def run() -> None:
    """Leave the trace."""
    RAN.append("run")


class Gadget:
    """A pickle of it is code."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (run, ())
