"""The service that writes usage."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from credentials.usage.counters import ACCEPTED, HOUR, CallCount, CounterKey
from credentials.usage.models import AddressUsage, SourceAddress, Usage, UsageBatch
from credentials.usage.upsert import upsert

Place = tuple[str, str, str]  # credential, secret, address
Span = tuple[float, float]  # from the first to the last call; seconds since 1970
Day = tuple[str, date]  # credential, day

ADDRESSES = 20  # the newest ones, kept for each secret
ADDRESSES_A_DAY = 200  # counted by themselves, for each credential; all others together, under an empty address
CREDENTIALS = 500  # a query


@transaction.atomic
def add_usage(*, batch_id: str, calls: Mapping[CounterKey, CallCount]) -> bool:
    """Add a batch of counts. Return False if it was added before, as when the answer to its commit was lost."""
    try:
        with transaction.atomic():
            UsageBatch.objects.create(pk=batch_id)
    except IntegrityError:
        return False
    _add_counts(calls)
    _add_address_usage(calls)
    _add_source_addresses(calls)
    return True


def _add_counts(calls: Mapping[CounterKey, CallCount]) -> None:
    counts: Counter[tuple[str, str, datetime, str, str]] = Counter()
    for key, call in calls.items():
        counts[key.credential, key.secret, _time(key.hour * HOUR), key.entry_point, key.outcome] += call.count
    rows = ((*what, count) for what, count in sorted(counts.items()))
    unique = ("credential", "secret", "hour", "entry_point", "outcome")
    upsert(Usage, (*unique, "count"), rows, unique=", ".join(unique), change="count = old.count + new.count")


def _add_address_usage(calls: Mapping[CounterKey, CallCount]) -> None:
    counts: Counter[tuple[str, date, str]] = Counter()
    for key, call in calls.items():
        if key.outcome == ACCEPTED and call.count:
            counts[key.credential, _time(key.hour * HOUR).date(), str(key.address or "")] += call.count
    rows = ((*what, count) for what, count in sorted(_bounded(counts).items()))
    fields = ("credential", "day", "address", "count")
    upsert(AddressUsage, fields, rows, unique="credential, day, address", change="count = old.count + new.count")


def _bounded(counts: Counter[tuple[str, date, str]]) -> Counter[tuple[str, date, str]]:
    """Return the counts with an empty address for each new address of a day that has `ADDRESSES_A_DAY` already.

    The counts of the same credential and hour, which are written first, let one batch at a time come here. Only batches
    of different entry points or hours can together exceed the bound, by a few addresses.
    """
    new = Counter((credential, day) for credential, day, address in counts if address)
    known = _known_addresses(new)
    bounded: Counter[tuple[str, date, str]] = Counter()
    for (credential, day, address), count in counts.most_common():  # where not all have room, the busiest have
        of_day = known[credential, day]
        if address not in of_day and len(of_day) >= ADDRESSES_A_DAY:
            bounded[credential, day, ""] += count
        else:
            bounded[credential, day, address] += count
            of_day.update([address] if address else [])
    return bounded


def _known_addresses(new: Mapping[Day, int]) -> defaultdict[Day, set[str]]:
    """Return the addresses of each day that may get too many with so many new ones; of other days, none."""
    known: defaultdict[Day, set[str]] = defaultdict(set)
    names, days = sorted({credential for credential, _ in new}), {day for _, day in new}
    for start in range(0, len(names), CREDENTIALS):
        rows = AddressUsage.objects.filter(credential__in=names[start : start + CREDENTIALS], day__in=days)
        counts = rows.exclude(address="").values_list("credential", "day").annotate(Count("address"))
        full = {credential for credential, day, count in counts if count + new[credential, day] > ADDRESSES_A_DAY}
        of_full = rows.filter(credential__in=full).exclude(address="")
        for credential, day, address in of_full.values_list("credential", "day", "address"):
            known[credential, day].add(address)
    return known


def _add_source_addresses(calls: Mapping[CounterKey, CallCount]) -> None:
    """Store the addresses of accepted calls. Times only move forward, even if a worker's batch arrives late."""
    times: dict[Place, Span] = {}
    for key, call in calls.items():
        if key.outcome == ACCEPTED:
            place = (key.credential, key.secret, str(key.address or ""))
            first, last = times.get(place, (call.first, call.last))
            times[place] = (min(first, call.first), max(last, call.last))
    rows = ((*place, _time(first), _time(last)) for place, (first, last) in sorted(_newest(times).items()))
    fields = ("credential", "secret", "address", "first_at", "last_at")
    later = "CASE WHEN new.last_at > old.last_at THEN new.last_at ELSE old.last_at END"
    upsert(SourceAddress, fields, rows, unique="credential, secret, address", change=f"last_at = {later}")
    _delete_old_addresses({credential for credential, _, _ in times})


def _newest(
    times: Mapping[tuple[str, str, str], tuple[float, float]],
) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Return the newest addresses of each secret; older ones would only be deleted again."""
    of_secret: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for (credential, secret, address), (_, last) in times.items():
        of_secret[credential, secret].append((last, address))
    newest = [
        (*secret, address)
        for secret, seen in of_secret.items()
        for _, address in sorted(seen, reverse=True)[:ADDRESSES]
    ]
    return {place: times[place] for place in newest}


def _delete_old_addresses(credentials: Collection[str]) -> None:
    names = sorted(credentials)
    nth = Window(RowNumber(), partition_by=[F("credential"), F("secret")], order_by=F("last_at").desc())
    for start in range(0, len(names), CREDENTIALS):
        ranked = SourceAddress.objects.filter(credential__in=names[start : start + CREDENTIALS]).annotate(nth=nth)
        SourceAddress.objects.filter(
            pk__in=list(ranked.filter(nth__gt=ADDRESSES).values_list("pk", flat=True))
        ).delete()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
