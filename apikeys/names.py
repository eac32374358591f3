"""Texts that a developer or an operator gives a key."""

from accounts.names import clean_text
from apikeys.models import NAME_LENGTH, REASON_LENGTH


def clean_name(name: str) -> str:
    """Return a key's name, normalized. Raises `ValidationError` for invisible or misleading characters."""
    return clean_text(name, max_length=NAME_LENGTH)


def clean_reason(reason: str, *, needed: bool = False) -> str:
    """Return the reason for rotating, pausing or ending a key, normalized; empty if none was given.

    Raises `ValidationError`.
    """
    return clean_text(reason, what="A reason", max_length=REASON_LENGTH, needed=needed)
