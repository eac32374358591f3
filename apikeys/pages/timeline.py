"""The timeline of a key: its events, as its owner may know them."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from django.utils.dateparse import parse_datetime

from accounts.models import User
from accounts.times import in_words
from accounts.view_models import ByWhom, by_whom
from apikeys.models import APIKey
from audit.event_types import EventType
from audit.models import Event

MAX_EVENTS: Final = 20
"""The newest events that a key's timeline shows."""
COLUMN_WORDS: Final = {"expires_at": "expiry", "rate_limit": "rate limit"}
"""What pages call a column, where its name is not the word."""


class TimelineEntry(NamedTuple):
    """One event of a key's timeline."""

    sentence: str
    note: str
    """What was changed, the new limit, or until when; empty for other events."""
    reason: str
    """The reason that was given; empty if none was."""
    widened: str
    """What the key may do more of since then, in words; empty if nothing."""
    by: ByWhom
    at: datetime


def timeline(key: APIKey, owner: User) -> list[TimelineEntry]:
    """Return the newest events of a key, the newest first."""
    events = Event.objects.filter(subject_type="key", subject_id=key.pk).order_by("-at", "-id")[:MAX_EVENTS]
    return [timeline_entry(event, owner) for event in events]


def timeline_entry(event: Event, owner: User) -> TimelineEntry:
    """Return an event as the timeline of the owner's key shows it."""
    return TimelineEntry(
        sentence=event.sentence,
        note=_columns(event, "changed") or _new_limit(event) or _end(event),
        reason=str(_detail(event, "reason") or ""),
        widened=_columns(event, "widened"),
        by=by_whom(event, owner),
        at=event.at,
    )


def _columns(event: Event, detail: str) -> str:
    """Return the columns that a detail of an event names, in words; empty if it names none."""
    names = _detail(event, detail)
    return ", ".join(COLUMN_WORDS.get(str(name), str(name)) for name in names) if isinstance(names, list) else ""


def _new_limit(event: Event) -> str:
    return str(_detail(event, "limit") or "the default") if event.verb == EventType.KEY_LIMITED else ""


def _end(event: Event) -> str:
    """Return until when a pause lasts, or the former secret works; empty for other events."""
    if event.verb == EventType.KEY_ROTATED:
        at = _time(event, "retires_at")
        return f"former secret works until {in_words(at)}" if at and _detail(event, "overlap") else "no overlap"
    if event.verb == EventType.KEY_PAUSED:
        at = _time(event, "until")
        return f"until {in_words(at)}" if at else ""
    return ""


def _time(event: Event, detail: str) -> datetime | None:
    try:
        return parse_datetime(str(_detail(event, detail)))
    except ValueError:
        return None


def _detail(event: Event, name: str) -> Any:
    # An event that the portal did not write may have details of any form. The page then says less, but does not fail.
    return event.details.get(name) if isinstance(event.details, dict) else None
