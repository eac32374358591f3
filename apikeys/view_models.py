"""What the pages of keys show, beside what a key says of itself. Templates compute nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.paginator import Page
from django.db.models import QuerySet

from accounts.models import User
from accounts.view_models import ByWhom, by_whom
from apikeys import usage
from apikeys.charts import Chart, chart_of
from apikeys.key_status import KeyStatus, key_status
from apikeys.models import APIKey, KeySecret
from apikeys.usage import CallSeries, OutcomeCount
from audit.event_types import EventType
from audit.models import Event
from credentials.usage.models import SourceAddress

MAX_EVENTS: Final = 20
"""The newest events that a key's timeline shows."""
MAX_SCOPES: Final = 3
"""The scopes that a row of the list names; it counts the others."""
COLUMN_WORDS: Final = {"expires_at": "expiry", "rate_limit": "rate limit"}
"""What pages call a column, where its name is not the word."""


class Option(NamedTuple):
    """An option of a filter."""

    value: str
    label: str
    is_chosen: bool


class KeyList(NamedTuple):
    """The page of a developer's keys."""

    page: Page[APIKey]
    rows: list["KeyRow"]
    query: str
    states: list[Option]
    environments: list[Option]
    is_filtered: bool
    has_keys: bool
    """Whether there are any keys, also ones that the filter leaves out."""


class KeyRow(NamedTuple):
    """One row of the keys' list."""

    key: APIKey
    status: KeyStatus
    hints: list[str]
    scopes: list[str]
    """The first of its scopes."""
    more_scopes: int
    """The number of its other scopes."""
    chart: Chart
    """The calls of the last 30 days."""
    last_used_at: datetime | None


class SecretRow(NamedTuple):
    """One secret on its key's page."""

    secret: KeySecret
    last_used_at: datetime | None


class UsageSection(NamedTuple):
    """The calls on a key's page."""

    chart: Chart
    was_used: bool
    """Whether there were calls in the last 30 days."""
    outcomes: list[OutcomeCount]
    source_addresses: QuerySet[SourceAddress]


class TimelineEntry(NamedTuple):
    """One event of a key's timeline."""

    sentence: str
    note: str
    """What was changed, in words, or the new limit; empty for other events."""
    widened: str
    """What the key may do more of since then, in words; empty if nothing."""
    by: ByWhom
    at: datetime


class KeyPage(NamedTuple):
    """The page of one key."""

    key: APIKey
    status: KeyStatus
    usage: UsageSection
    secrets: list[SecretRow]
    timeline: list[TimelineEntry]
    rate_limit: str


def options(choices: Iterable[tuple[str, str]], chosen: str) -> list[Option]:
    """Return the options of a filter, of which one may be chosen."""
    return [Option(value, label, value == chosen) for value, label in choices]


def key_rows(keys: Sequence[APIKey], owner: User) -> list[KeyRow]:
    """Return the rows of an owner's keys, in two queries."""
    key_ids = [key.pk for key in keys]
    calls, used_at = usage.calls_by_day(key_ids), usage.last_used_at(key_ids)
    return [_row(key, owner, calls[key.pk], used_at.get(key.pk)) for key in keys]


def key_page(key: APIKey, owner: User, *, by_hour: bool) -> KeyPage:
    """Return the page of a key, with the calls of the last 30 days or, by hour, of the last 48 hours."""
    daily = usage.calls_by_day([key.pk])[key.pk]
    calls = usage.calls_by_hour(key.pk) if by_hour else daily
    used_at = usage.secrets_last_used_at(key.pk)
    return KeyPage(
        key=key,
        status=_status(key, owner, daily, usage.last_used_at([key.pk]).get(key.pk)),
        usage=UsageSection(
            chart=chart_of(calls),
            was_used=daily.calls > 0,
            outcomes=usage.outcomes(key.pk, calls.since),
            source_addresses=usage.source_addresses(key.pk),
        ),
        secrets=[SecretRow(secret, used_at.get(secret.pk)) for secret in key.secrets.all()],
        timeline=[timeline_entry(event, owner) for event in _events(key)],
        rate_limit=_rate_limit(key),
    )


def timeline_entry(event: Event, owner: User) -> TimelineEntry:
    """Return an event as the timeline of the owner's key shows it."""
    return TimelineEntry(
        sentence=event.sentence,
        note=_columns(event, "changed") or _new_limit(event),
        widened=_columns(event, "widened"),
        by=by_whom(event, owner),
        at=event.at,
    )


def _row(key: APIKey, owner: User, calls: CallSeries, last_used_at: datetime | None) -> KeyRow:
    scopes = key.scope_list
    return KeyRow(
        key=key,
        status=_status(key, owner, calls, last_used_at),
        hints=[secret.hint for secret in key.secrets.all()],
        scopes=scopes[:MAX_SCOPES],
        more_scopes=len(scopes[MAX_SCOPES:]),
        chart=chart_of(calls),
        last_used_at=last_used_at,
    )


def _status(key: APIKey, owner: User, calls: CallSeries, last_used_at: datetime | None) -> KeyStatus:
    confirmed = owner.is_confirmed
    return key_status(key, confirmed=confirmed, calls=calls.calls, refused=calls.refused, last_used_at=last_used_at)


def _events(key: APIKey) -> QuerySet[Event]:
    return Event.objects.filter(subject_type="key", subject_id=key.pk).order_by("-at", "-id")[:MAX_EVENTS]


def _columns(event: Event, detail: str) -> str:
    """Return the columns that a detail of an event names, in words; empty if it names none."""
    names = _detail(event, detail)
    return ", ".join(COLUMN_WORDS.get(str(name), str(name)) for name in names) if isinstance(names, list) else ""


def _new_limit(event: Event) -> str:
    return str(_detail(event, "limit") or "the default") if event.verb == EventType.KEY_LIMITED else ""


def _detail(event: Event, name: str) -> Any:
    # An event that the portal did not write may have details of any form. The page then says less, but does not fail.
    return event.details.get(name) if isinstance(event.details, dict) else None


def _rate_limit(key: APIKey) -> str:
    if key.rate_limit:
        return f"{key.rate_limit}, set by an operator"
    return settings.KEYPORTAL_RATE_LIMIT or "None"
