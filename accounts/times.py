"""Times as pages and messages show them, and as machines read them: always in UTC, and always saying so."""

from datetime import UTC, datetime
from typing import Final

from django.utils.dateformat import format as format_date

TO_THE_MINUTE: Final = "j M Y, H:i"


def in_words(at: datetime, pattern: str = TO_THE_MINUTE) -> str:
    """Return the time as `3 Feb 2026, 12:00 UTC`, or in another pattern of Django's `date` filter."""
    return f"{format_date(at.astimezone(UTC), pattern)} UTC"


def rfc3339(at: datetime) -> str:
    """Return the time for machines, as `2026-02-03T12:00:00Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
