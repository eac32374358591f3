"""Usage of keys for the pages: calls by day or by hour, their outcomes, and the addresses that they came from."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from accounts.models import User
from apikeys.key_status import key_status
from apikeys.models import APIKey, KeySecret
from credentials.usage.counters import ACCEPTED
from credentials.usage.models import SourceAddress, Usage

DAYS = 30
HOURS = 48
HEIGHT = 24
"""The height of a chart in its own units. A bar is two units wide; a new one begins every `STEP` units."""
STEP = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """The calls of one day or hour, and how a chart draws them."""

    at: datetime
    accepted: int
    refused: int
    x: int
    height: float
    """The height of the bar for all calls, in the units of the chart."""
    red: float
    """The height of the red part for refused calls, which is drawn on top."""

    @property
    def y(self) -> float:
        """The top of the bar, measured from the top of the chart."""
        return HEIGHT - self.height

    @property
    def label(self) -> str:
        """The text alternative of the bar."""
        return f"{self.accepted} accepted, {self.refused} refused"


@dataclass(frozen=True, slots=True)
class Chart:
    """The calls of a key in equal intervals, oldest first."""

    bars: tuple[Bar, ...]
    unit: str
    """`day` or `hour`."""

    @property
    def accepted(self) -> int:
        """The number of accepted calls."""
        return sum(bar.accepted for bar in self.bars)

    @property
    def refused(self) -> int:
        """The number of refused calls."""
        return sum(bar.refused for bar in self.bars)

    @property
    def calls(self) -> int:
        """The number of calls."""
        return self.accepted + self.refused

    @property
    def most(self) -> int:
        """The number of calls in the busiest interval."""
        return max(bar.accepted + bar.refused for bar in self.bars)

    @property
    def width(self) -> int:
        """The width in the units of the chart."""
        return len(self.bars) * STEP

    @property
    def label(self) -> str:
        """The text alternative of the chart."""
        span = f"{len(self.bars)} {self.unit}s"
        return f"{self.calls:,} call{'' if self.calls == 1 else 's'} in the last {span}, {self.refused:,} refused"


@dataclass(frozen=True, slots=True)
class RecentUsage:
    """Recent use of a key, shown before it is ended."""

    calls: int
    """Calls in the last 24 hours, accepted and refused."""
    addresses: int
    """Addresses that accepted calls came from in the last 24 hours."""


def recent_usage(key_ids: Collection[str]) -> dict[str, RecentUsage]:
    """Return how much each key was used in the last 24 hours, in two queries."""
    since = timezone.now() - timedelta(days=1)
    calls: dict[str, int] = dict(_since(key_ids, since).values_list("credential").annotate(Sum("count")).order_by())
    seen = SourceAddress.objects.filter(credential__in=key_ids, last_at__gte=since).values_list("credential")
    addresses: dict[str, int] = dict(seen.annotate(Count("address", distinct=True)).order_by())
    return {key_id: RecentUsage(calls.get(key_id, 0), addresses.get(key_id, 0)) for key_id in key_ids}


def charts_by_day(key_ids: Collection[str]) -> dict[str, Chart]:
    """Return the chart of each key for the last 30 days, in one query."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    rows = _since(key_ids, days[0]).annotate(at=TruncDay("hour"))
    counts = _counted(rows.values_list("credential", "at", "outcome").annotate(Sum("count")).order_by())
    unused = _chart({}, days, "day")  # shared: most keys of a long list have no calls
    return {key_id: _chart(counts[key_id], days, "day") if key_id in counts else unused for key_id in key_ids}


def chart_by_hour(key_id: str) -> Chart:
    """Return the chart of a key for the last 48 hours."""
    this = timezone.now().replace(minute=0, second=0, microsecond=0)
    hours = [this - timedelta(hours=back) for back in reversed(range(HOURS))]
    rows = _since([key_id], hours[0]).values_list("credential", "hour", "outcome").annotate(Sum("count")).order_by()
    return _chart(_counted(rows)[key_id], hours, "hour")


def outcomes(key_id: str, chart: Chart) -> list[tuple[str, int]]:
    """Return the outcomes of the calls in this chart with their numbers, the most frequent first."""
    rows = _since([key_id], chart.bars[0].at).values_list("outcome").annotate(calls=Sum("count"))
    return [(outcome, calls) for outcome, calls in rows.order_by("-calls", "outcome")]


def describe(keys: Sequence[APIKey], owner: User) -> None:
    """Set `chart` (30 days), `last_used_at` (None: never) and `status` on each key of an owner, in two queries."""
    key_ids = [key.pk for key in keys]
    charts = charts_by_day(key_ids)
    rows = SourceAddress.objects.filter(credential__in=key_ids).values_list("credential").annotate(Max("last_at"))
    used: dict[str, datetime] = dict(rows.order_by())
    for key in keys:
        chart, at = charts[key.pk], used.get(key.pk)
        calls, refused = chart.calls, chart.refused
        status = key_status(key, confirmed=owner.is_confirmed, calls=calls, refused=refused, last_used_at=at)
        vars(key).update(chart=chart, last_used_at=at, status=status)


def with_last_use(secrets: QuerySet[KeySecret]) -> list[KeySecret]:
    """Return the secrets of a key with `last_used_at` set on each; None for a secret that was never used."""
    rows = SourceAddress.objects.filter(credential__in={secret.key_id for secret in secrets}).values_list("secret")
    used: dict[str, datetime] = dict(rows.annotate(Max("last_at")).order_by())
    for secret in secrets:
        vars(secret).update(last_used_at=used.get(secret.pk))
    return list(secrets)


def last_use() -> Subquery:
    """Return an expression for a query of keys: when each was last accepted."""
    rows = SourceAddress.objects.filter(credential=OuterRef("pk")).order_by("-last_at").values("last_at")
    return Subquery(rows[:1])


def source_addresses(key_id: str) -> QuerySet[SourceAddress]:
    """Return where a key was used from, the most recent first."""
    return SourceAddress.objects.filter(credential=key_id).order_by("-last_at")


def _since(key_ids: Collection[str], at: datetime) -> QuerySet[Usage]:
    return Usage.objects.filter(credential__in=key_ids, hour__gte=at)


def _counted(rows: Iterable[tuple[str, datetime, str, int]]) -> defaultdict[str, Counter[tuple[datetime, bool]]]:
    """Return the sums as accepted and refused, by key and time."""
    counts: defaultdict[str, Counter[tuple[datetime, bool]]] = defaultdict(Counter)
    for credential, at, outcome, count in rows:
        counts[credential][at, outcome == ACCEPTED] += count
    return counts


def _chart(counts: Mapping[tuple[datetime, bool], int], times: list[datetime], unit: str) -> Chart:
    most = max((counts.get((at, True), 0) + counts.get((at, False), 0) for at in times), default=0) or 1
    bars = []
    for place, at in enumerate(times):
        accepted, refused = counts.get((at, True), 0), counts.get((at, False), 0)
        scale = HEIGHT / most
        # At least one unit, so that even a single call can be seen.
        height = max(1.0, (accepted + refused) * scale) if accepted or refused else 0.0
        red = max(1.0, refused * scale) if refused else 0.0
        bars.append(Bar(at, accepted, refused, place * STEP, round(height, 2), round(red, 2)))
    return Chart(tuple(bars), unit)
