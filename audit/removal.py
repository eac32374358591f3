"""The service that removes audit events whose retention is over."""

from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from audit.chain import add_removal_link
from audit.chain_state import lock_state, write_state
from audit.event_types import EventType
from audit.models import Event
from audit.origin import Origin
from audit.services import record_event
from integrity.hostile_rows import UNREADABLE, read_row


def remove_expired_events(*, origin: Origin, batch: int, batches: int | None = None) -> int:
    """Remove expired events of the trail, at most `batch` per transaction and `batches` times; return how many.

    One event records their number and the times of the earliest and latest, including those of an interrupted removal.
    """
    removed = rounds = 0
    while batches is None or rounds < batches:
        count = _remove_some_events(batch)
        removed += count
        rounds += 1
        if count < batch:
            break
    _record_removal(origin)
    return removed


@transaction.atomic
def _remove_some_events(batch: int) -> int:
    expired = Event.objects.filter(keep_until__lt=Now()).order_by("pk")
    ids = list(expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:batch])
    if not ids:
        return 0
    add_removal_link(ids)
    state, _ = lock_state()
    times = [at for at in (state.earliest, state.latest, *_times(ids)) if at] or [timezone.now()]
    Event.objects.filter(pk__in=ids).delete()
    write_state(state, count=state.count + len(ids), earliest=min(times), latest=max(times))
    return len(ids)


def _times(ids: list[int]) -> list[datetime | None]:
    """Return the times of these events; None for an event whose row can't be read."""
    try:
        return list(Event.objects.filter(pk__in=ids).values_list("at", flat=True))
    except UNREADABLE:
        events = (read_row(Event, pk) for pk in ids)
        return [event.at if event else None for event in events]


@transaction.atomic
def _record_removal(origin: Origin) -> None:
    state, _ = lock_state()
    if state.earliest is None or state.latest is None:
        return
    span = {"earliest": state.earliest.isoformat(), "latest": state.latest.isoformat()}
    record_event(EventType.EVENTS_REMOVED, subject="trail:audit", origin=origin, count=state.count, **span)
    write_state(state, count=0, earliest=None, latest=None)
