"""How operators write an end: a day, a time with its zone, or how long from now, such as `90m`, `24h` or `30d`."""

from datetime import UTC, datetime, time
from typing import Final

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from apikeys.overlap_text import parse_duration

EXPECTED: Final = (
    "2027-01-31 (to its end, UTC), a time with its zone (2027-01-31T12:00Z), or a span from now (24h, 30d)"
)


def parse_end(text: str) -> datetime:
    """Return the moment in UTC. Raises ValueError for a text that is nothing of what `EXPECTED` names.

    Whether the moment is still ahead is for the verbs to say.
    """
    try:
        return timezone.now() + parse_duration(text)
    except ValueError:
        return _parse_time(text) if "T" in text else _parse_day(text)


def _parse_day(text: str) -> datetime:
    day = parse_date(text)
    if day is None:
        raise ValueError(EXPECTED)
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


def _parse_time(text: str) -> datetime:
    at = parse_datetime(text)
    if at is None or at.tzinfo is None:
        raise ValueError(EXPECTED)
    try:
        return at.astimezone(UTC)
    except OverflowError as error:  # in the last hours of the year 9999
        raise ValueError(EXPECTED) from error
