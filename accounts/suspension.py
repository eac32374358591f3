"""A suspension of issuing, as those are told who ask for a credential."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from accounts.times import in_words

LONGEST_WAIT: Final = timedelta(minutes=1)
"""How long a client is asked to wait at most. It is not told the end alone, because an operator may lift it earlier."""
TAMPERED: Final = "The setting was changed outside the portal, and an operator has to set it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """A time in which no new credentials are issued."""

    since: datetime | None
    """When it began; None if that is unknown, because the setting was changed outside the portal."""
    until: datetime | None
    """When it ends by itself; None if an operator has to end it."""
    reason: str
    """What operators tell everyone: signed-in users, visitors who want to sign up, and clients."""
    allows_rotation: bool = False
    """Whether secrets can still be replaced."""

    @property
    def is_tampered(self) -> bool:
        """Whether nothing is issued because the setting was changed outside the portal."""
        return self.since is None

    @property
    def retry_after(self) -> int:
        """Return after how many seconds it is worth trying again."""
        left = LONGEST_WAIT if self.until is None else min(LONGEST_WAIT, self.until - timezone.now())
        return max(1, int(left.total_seconds()))

    @property
    def sentence(self) -> str:
        """Return what is suspended, until when and why, in words."""
        until = f" until {in_words(self.until)}" if self.until else " at the moment"
        return f"This portal issues no new credentials{until}. {self.reason}".strip()
