"""The service that writes usage."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from credentials.usage.counters import ACCEPTED, HOUR, CallCount, CounterKey
from credentials.usage.models import SourceAddress, Usage, UsageBatch
from credentials.usage.upsert import upsert

Place = tuple[str, str, str]  # credential, secret, address
Span = tuple[float, float]  # from the first to the last call; seconds since 1970

ADDRESSES = 20  # the newest ones, kept for each secret


@transaction.atomic
def add_usage(*, batch_id: str, calls: Mapping[CounterKey, CallCount]) -> bool:
    """Add a batch of counts. Return False if it was added before, as when the answer to its commit was lost."""
    try:
        with transaction.atomic():
            UsageBatch.objects.create(pk=batch_id)
    except IntegrityError:
        return False
    _add_counts(calls)
    _add_source_addresses(calls)
    return True


def _add_counts(calls: Mapping[CounterKey, CallCount]) -> None:
    counts: Counter[tuple[str, str, datetime, str, str]] = Counter()
    for key, call in calls.items():
        counts[key.credential, key.secret, _time(key.hour * HOUR), key.entry_point, key.outcome] += call.count
    rows = ((*what, count) for what, count in sorted(counts.items()))
    unique = ("credential", "secret", "hour", "entry_point", "outcome")
    upsert(Usage, (*unique, "count"), rows, unique=", ".join(unique), change="count = old.count + new.count")


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
    for start in range(0, len(names), 500):
        ranked = SourceAddress.objects.filter(credential__in=names[start : start + 500]).annotate(nth=nth)
        SourceAddress.objects.filter(
            pk__in=list(ranked.filter(nth__gt=ADDRESSES).values_list("pk", flat=True))
        ).delete()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
