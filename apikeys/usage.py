"""Usage of keys, read for pages: calls by day or by hour, their outcomes, the last use and the addresses it came from.

`apikeys.pages.charts` draws the calls.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from django.db.models import Count, F, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from credentials.usage.counters import ACCEPTED
from credentials.usage.models import SourceAddress, Usage

DAYS: Final = 30
HOURS: Final = 48


class Unit(StrEnum):
    """The length of the intervals of a series."""

    DAY = "day"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Interval:
    """The calls of one day or hour."""

    at: datetime
    accepted: int
    refused: int

    @property
    def calls(self) -> int:
        """The number of calls."""
        return self.accepted + self.refused


@dataclass(frozen=True, slots=True)
class CallSeries:
    """The calls of a key in equal intervals, oldest first."""

    unit: Unit
    intervals: tuple[Interval, ...]

    @property
    def calls(self) -> int:
        """The number of calls."""
        return sum(interval.calls for interval in self.intervals)

    @property
    def refused(self) -> int:
        """The number of refused calls."""
        return sum(interval.refused for interval in self.intervals)

    @property
    def since(self) -> datetime:
        """The beginning of the first interval."""
        return self.intervals[0].at


class OutcomeCount(NamedTuple):
    """How many calls had one outcome."""

    code: str
    """`accepted`, or the code of the refusal."""
    calls: int

    @property
    def is_accepted(self) -> bool:
        """Whether these calls were accepted."""
        return self.code == ACCEPTED


@dataclass(frozen=True, slots=True)
class RecentUsage:
    """Recent use of a key, shown before it is ended."""

    calls: int
    """Calls in the last 24 hours, accepted and refused."""
    addresses: int
    """Addresses that accepted calls came from in the last 24 hours."""

    @property
    def words(self) -> str:
        """The use in words, such as `1,200 calls in the last 24 hours from 3 addresses`."""
        calls = f"{self.calls:,} call{'' if self.calls == 1 else 's'} in the last 24 hours"
        if not self.addresses:
            return calls
        return f"{calls} from {self.addresses} address{'' if self.addresses == 1 else 'es'}"


class UsedFrom(NamedTuple):
    """An address from which a key was used."""

    address: str
    """Empty if it is not known."""
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class SecretUsage:
    """Use of one secret of a key, shown before it is retired."""

    calls: int
    """Accepted calls in the last 24 hours, counted by the hour."""
    last_at: datetime | None
    """When it was last accepted; None for never."""
    last_address: str
    """Where that call came from; empty if that is not known."""

    @property
    def is_unused(self) -> bool:
        """Whether nothing has used it for a day, so that ending it is safe."""
        return not self.calls and (self.last_at is None or self.last_at < timezone.now() - timedelta(days=1))


def secret_usage(key_id: str, secret_id: str) -> SecretUsage:
    """Return how one secret of a key was used, in two queries."""
    rows = _since([key_id], timezone.now() - timedelta(days=1)).filter(secret=secret_id)
    calls: dict[str, int | None] = rows.aggregate(calls=Sum("count"))
    newest = SourceAddress.objects.filter(credential=key_id, secret=secret_id).order_by("-last_at").first()
    last_at, address = (newest.last_at, newest.address) if newest else (None, "")
    return SecretUsage(calls["calls"] or 0, last_at, address)


def recent_usage(key_ids: Collection[str]) -> dict[str, RecentUsage]:
    """Return how much each key was used in the last 24 hours, in two queries."""
    since = timezone.now() - timedelta(days=1)
    calls: dict[str, int] = dict(_since(key_ids, since).values_list("credential").annotate(Sum("count")).order_by())
    seen = SourceAddress.objects.filter(credential__in=key_ids, last_at__gte=since).values_list("credential")
    addresses: dict[str, int] = dict(seen.annotate(Count("address", distinct=True)).order_by())
    return {key_id: RecentUsage(calls.get(key_id, 0), addresses.get(key_id, 0)) for key_id in key_ids}


def calls_by_day(key_ids: Collection[str], *, days: int = DAYS) -> dict[str, CallSeries]:
    """Return the calls of each key in the last days, today included, in one query."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    every = [today - timedelta(days=back) for back in reversed(range(days))]
    rows = _since(key_ids, every[0]).annotate(at=TruncDay("hour"))
    counts = _counts(rows.values_list("credential", "at", "outcome").annotate(Sum("count")).order_by())
    unused = _series({}, every, Unit.DAY)  # shared: most keys of a long list have no calls
    return {key_id: _series(counts[key_id], every, Unit.DAY) if key_id in counts else unused for key_id in key_ids}


def calls_by_hour(key_id: str) -> CallSeries:
    """Return the calls of a key in the last 48 hours."""
    this = timezone.now().replace(minute=0, second=0, microsecond=0)
    hours = [this - timedelta(hours=back) for back in reversed(range(HOURS))]
    rows = _since([key_id], hours[0]).values_list("credential", "hour", "outcome").annotate(Sum("count")).order_by()
    return _series(_counts(rows)[key_id], hours, Unit.HOUR)


def outcomes(key_id: str, since: datetime) -> list[OutcomeCount]:
    """Return the outcomes of a key's calls since then, the most frequent first."""
    rows = _since([key_id], since).values_list("outcome").annotate(calls=Sum("count"))
    return [OutcomeCount(*row) for row in rows.order_by("-calls", "outcome")]


class OutcomeAt(NamedTuple):
    """How many calls of one hour or day had one outcome."""

    at: datetime
    code: str
    calls: int


def outcomes_at(key_id: str, unit: Unit, *, days: int) -> list[OutcomeAt]:
    """Return the outcomes of a key's calls in the last days, today included, by hour or day, in one query."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = _since([key_id], today - timedelta(days=days - 1))
    at = TruncDay("hour") if unit is Unit.DAY else F("hour")
    counts = rows.annotate(at=at).values_list("at", "outcome").annotate(calls=Sum("count"))
    return [OutcomeAt(*row) for row in counts.order_by("at", "outcome")]


def last_uses(key_ids: Collection[str]) -> dict[str, dict[str, datetime]]:
    """Return when each secret of each key, or a token that it was exchanged for, was last accepted, in one query.

    Secrets that were never used are left out.
    """
    rows = SourceAddress.objects.filter(credential__in=key_ids).values_list("credential", "secret")
    uses: dict[str, dict[str, datetime]] = {key_id: {} for key_id in key_ids}
    for credential, secret, at in rows.annotate(Max("last_at")).order_by():
        uses[credential][secret] = at
    return uses


def last_use() -> Subquery:
    """Return an expression for a query of keys: when each was last accepted."""
    rows = SourceAddress.objects.filter(credential=OuterRef("pk")).order_by("-last_at").values("last_at")
    return Subquery(rows[:1])


def source_addresses(key_id: str) -> list[UsedFrom]:
    """Return where a key was used from, with whichever of its secrets; the most recent first."""
    rows = SourceAddress.objects.filter(credential=key_id).values_list("address")
    seen = rows.annotate(first_at=Min("first_at"), last_at=Max("last_at")).order_by("-last_at")
    return [UsedFrom(*row) for row in seen]


def _since(key_ids: Collection[str], at: datetime) -> QuerySet[Usage]:
    return Usage.objects.filter(credential__in=key_ids, hour__gte=at)


def _counts(rows: Iterable[tuple[str, datetime, str, int]]) -> defaultdict[str, Counter[tuple[datetime, bool]]]:
    """Return the sums as accepted and refused, by key and time."""
    counts: defaultdict[str, Counter[tuple[datetime, bool]]] = defaultdict(Counter)
    for credential, at, outcome, count in rows:
        counts[credential][at, outcome == ACCEPTED] += count
    return counts


def _series(counts: Mapping[tuple[datetime, bool], int], times: Iterable[datetime], unit: Unit) -> CallSeries:
    return CallSeries(unit, tuple(Interval(at, counts.get((at, True), 0), counts.get((at, False), 0)) for at in times))
