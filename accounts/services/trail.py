"""The audit trail: the removal of events whose time is over."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.audit import record
from accounts.hostile_rows import UNREADABLE, fits, read_row
from accounts.models import AuditEvent, AuditRemoval
from accounts.origin import Origin
from accounts.trail import hold_chain, note_removal

logger = logging.getLogger(__name__)


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
    ids = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True)[:batch])
    if not ids:
        return 0
    note_removal(ids)
    so_far = _untold()
    times = [at for at in (so_far.earliest, so_far.latest, *_times(ids)) if at] or [timezone.now()]
    AuditEvent.objects.filter(pk__in=ids).delete()
    _note(AuditRemoval(pk=1, count=so_far.count + len(ids), earliest=min(times), latest=max(times)))
    return len(ids)


def _times(ids: list[int]) -> list[datetime | None]:
    """Return when these events were; None for one in which somebody has written something else."""
    try:
        return list(AuditEvent.objects.filter(pk__in=ids).values_list("at", flat=True))
    except UNREADABLE:
        events = (read_row(AuditEvent, pk) for pk in ids)
        return [event.at if event else None for event in events]


@transaction.atomic
def _tell_of_removal(origin: Origin) -> None:
    hold_chain()
    told = _untold()
    if told.earliest is None or told.latest is None:
        return
    span = {"earliest": told.earliest.isoformat(), "latest": told.latest.isoformat()}
    record("events_removed", subject="trail:audit", origin=origin, count=told.count, **span)
    _note(AuditRemoval(pk=1))


def _untold() -> AuditRemoval:
    """Return what no event tells of yet; `hold_chain` holds the row. Where somebody else wrote, that is lost."""
    found = read_row(AuditRemoval, 1)
    if found is not None and fits(found):
        return found
    logger.error("integrity_violation: the row seal of what was removed from the trail does not fit")
    return AuditRemoval(pk=1)


def _note(untold: AuditRemoval) -> None:
    untold.seal = untold.make_seal()
    changes = {name: getattr(untold, name) for name in ("count", "earliest", "latest", "seal")}
    AuditRemoval.objects.filter(pk=1).update(**changes)
