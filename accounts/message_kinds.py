"""The kinds of messages that a user can switch off. Every message of no kind is always sent."""

from enum import StrEnum
from typing import Self


class MessageKind(StrEnum):
    """Messages with one switch. The value is stored in the `kind` column, and is the name of the form's field."""

    label: str
    help_text: str
    default: bool
    """Whether a user who never chose gets these messages."""

    def __new__(cls, value: str, label: str, help_text: str, default: bool) -> Self:
        """Return a member; it equals its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.help_text = help_text
        member.default = default
        return member

    LIVE_KEYS = "live_keys", "Live keys", "When you create, rotate, pause, resume or revoke a live key.", True
    TEST_KEYS = "test_keys", "Test keys", "When you create, rotate, pause, resume or revoke a test key.", False
    EXPIRY = (
        "expiry",
        "Reminders",
        "30 days, 7 days and 1 day before a key expires, and before the overlap of a rotation ends.",
        True,
    )
    NEW_DEVICE = (
        "new_device",
        "Log-ins from a new device",
        "When a browser or a program logs in to your account for the first time.",
        True,
    )
