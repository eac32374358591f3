"""The audit trail: the removal of events whose time is over."""

from django.db import transaction
from django.db.models.functions import Now

from accounts.audit import record
from accounts.models import AuditEvent, AuditRemoval
from accounts.origin import Origin
from accounts.trail import note_removal


def remove_expired_events(*, origin: Origin, batch: int, batches: int | None = None) -> int:
    """Remove events of the trail whose time is over, at most so many in a transaction; return how many.

    One event tells how many there were and from when to when: what a removal that broke off had taken, too.
    """
    removed = rounds = 0
    while batches is None or rounds < batches:
        taken = _remove_some_events(batch)
        removed += taken
        rounds += 1
        if taken < batch:
            break
    _tell_of_removal(origin)
    return removed


@transaction.atomic
def _remove_some_events(batch: int) -> int:
    over = AuditEvent.objects.filter(keep_until__lt=Now()).order_by("pk")
    events = dict(over.select_for_update(skip_locked=True).values_list("pk", "at")[:batch])
    if not events:
        return 0
    note_removal(events)
    AuditEvent.objects.filter(pk__in=list(events)).delete()
    so_far = AuditRemoval.objects.get(pk=1)  # held since the link was added
    times = [at for at in (so_far.earliest, so_far.latest, *events.values()) if at]
    counted = {"count": so_far.count + len(events), "earliest": min(times), "latest": max(times)}
    AuditRemoval.objects.filter(pk=1).update(**counted)
    return len(events)


@transaction.atomic
def _tell_of_removal(origin: Origin) -> None:
    told = AuditRemoval.objects.select_for_update().filter(count__gt=0).first()
    if told is None or told.earliest is None or told.latest is None:
        return
    span = {"earliest": told.earliest.isoformat(), "latest": told.latest.isoformat()}
    record("events_removed", subject="trail:audit", origin=origin, count=told.count, **span)
    AuditRemoval.objects.filter(pk=1).update(count=0, earliest=None, latest=None)
