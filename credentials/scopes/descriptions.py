"""The descriptions of scopes, which operators write and developers read."""

from typing import Final

from accounts.names import clean_text

MAX_LENGTH: Final = 200


def clean_description(text: str) -> str:
    """Return a description as it is stored. Raises `ValidationError`."""
    return clean_text(text, what="A description", max_length=MAX_LENGTH)
