"""What the list of keys shows, beside what a key says of itself. Templates compute nothing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.core.paginator import Page

from accounts.models import User
from apikeys import usage
from apikeys.models import APIKey
from apikeys.pages.charts import Chart, chart_of
from apikeys.pages.key_status import KeyStatus, Overlap, key_status
from apikeys.usage import CallSeries, RecentUsage

MAX_SCOPES: Final = 3
"""The scopes that a row of the list names; it counts the others."""


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
    selectable: bool
    """Whether one of the rows can be paused or revoked."""
    hidden: int
    """The number of revoked keys, if the list leaves them out."""


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


class ChosenRow(NamedTuple):
    """A key that is about to be paused or revoked, and what that would stop."""

    row: KeyRow
    recent_usage: RecentUsage


def options(choices: Iterable[tuple[str, str]], chosen: str) -> list[Option]:
    """Return the options of a filter, of which one may be chosen."""
    return [Option(value, label, value == chosen) for value, label in choices]


def key_rows(keys: Sequence[APIKey], owner: User) -> list[KeyRow]:
    """Return the rows of an owner's keys, in two queries."""
    key_ids = [key.pk for key in keys]
    calls, used_at = usage.calls_by_day(key_ids), usage.last_uses(key_ids)
    return [row_of(key, owner, calls[key.pk], used_at[key.pk]) for key in keys]


def chosen_rows(keys: Sequence[APIKey], owner: User) -> list[ChosenRow]:
    """Return the rows of keys that are about to be paused or revoked, those in use first."""
    recent = usage.recent_usage([key.pk for key in keys])
    rows = [ChosenRow(row, recent[row.key.pk]) for row in key_rows(keys, owner)]
    return sorted(rows, key=lambda chosen: -chosen.recent_usage.calls)


def row_of(key: APIKey, owner: User, calls: CallSeries, used_at: Mapping[str, datetime | None]) -> KeyRow:
    """Return the row of a key, given its calls of 30 days, and when each of its secrets was last used.

    Its live secrets must be prefetched.
    """
    scopes = key.scope_list
    live = list(key.secrets.all())
    last_used_at = max(filter(None, used_at.values()), default=None)
    former = next((secret for secret in live if not secret.is_current), None)
    return KeyRow(
        key=key,
        status=key_status(
            key,
            confirmed=owner.is_confirmed,
            calls=calls,
            last_used_at=last_used_at,
            overlap=Overlap(former.retires_at, used_at.get(former.pk)) if former else None,
        ),
        hints=[secret.hint for secret in live],
        scopes=scopes[:MAX_SCOPES],
        more_scopes=len(scopes[MAX_SCOPES:]),
        chart=chart_of(calls),
        last_used_at=last_used_at,
    )
