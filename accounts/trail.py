"""The trail as a whole: whether it is as the portal wrote it, and the chain that tells what has been removed.

Each event carries a seal over all of it, its id included: one that was altered, moved, doubled or made up does not fit.
That one is missing can't be seen in those that are left. So the chain (`KEYPORTAL_AUDIT_CHAIN`) notes now and then what
events there are: a link names their ids, holds a digest over their seals, and is sealed together with the seal of the
link before. Removing events in their time adds a link that names them.

Ids are not in the order of commits: an event that comes late, by a transaction that took its time, is in a later link.
Nobody who writes an event waits for any of this.
"""

import hashlib
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from accounts.id_ranges import IdRanges
from accounts.models import AuditCheckpoint, AuditEvent, AuditRemoval
from vault.framing import frame

logger = logging.getLogger(__name__)

EVERY: Final = 60.0  # seconds between two links
SETTLED: Final = timedelta(minutes=1)
"""Younger events wait for the next link: their neighbours may not be committed yet."""
LATE: Final = 10_000
"""So many ids back an event may still come late."""
BATCH: Final = 5000  # events of a link


def extend_now_and_then() -> None:
    """Extend the chain if no worker has for a while. Called by a thread that has time for it (`keyportal/wsgi.py`)."""
    if not settings.KEYPORTAL_AUDIT_CHAIN:
        return
    try:
        if not AuditCheckpoint.objects.filter(removed=False, at__gt=Now() - timedelta(seconds=EVERY / 2)).exists():
            while extend_chain() == BATCH:
                continue
    except DatabaseError as error:
        # What is not covered now is covered next time.
        logger.warning("the chain of the audit trail could not be extended: %s", type(error).__name__)


@transaction.atomic
def extend_chain() -> int:
    """Add a link over the events that none covers; return how many: with `BATCH` there may be more."""
    last = newest_link()
    floor = max(last.reach - LATE, 0)
    links = AuditCheckpoint.objects.filter(removed=False, reach__gt=floor)
    covered = IdRanges.union(ids_of(link) for link in links)
    settled = AuditEvent.objects.filter(pk__gt=floor, at__lt=Now() - SETTLED).order_by("pk")
    rows = settled.values_list("pk", "seal")[: LATE + BATCH]
    new = {pk: bytes(seal) for pk, seal in rows if pk not in covered}
    events = dict(list(new.items())[:BATCH])
    if events:
        add_link(last, IdRanges.of(events), digest=digest_of(events.values()))
    return len(events)


def note_removal(ids: Iterable[int]) -> None:
    """Add a link that names events which are being removed in their time, in the caller's transaction.

    Also where the chain has been switched off since: what it covers would be missing otherwise.
    """
    last = newest_link()
    if last.number or settings.KEYPORTAL_AUDIT_CHAIN:
        add_link(last, IdRanges.of(ids), digest=digest_of([]), removed=True)


def newest_link() -> AuditCheckpoint:
    """Return the end of the chain, held until the transaction is over; number 0 if there is none yet.

    What is held is a row of its own, that no writer of events needs.
    """
    AuditRemoval.objects.select_for_update().get_or_create(pk=1)
    return AuditCheckpoint.objects.order_by("-number").first() or AuditCheckpoint(number=0, reach=0, seal=b"")


def add_link(last: AuditCheckpoint, ids: IdRanges, *, digest: bytes, removed: bool = False) -> AuditCheckpoint:
    """Insert the link behind the last one. The log keeps a copy of its seal, outside the database."""
    reach = last.reach if removed else max(last.reach, ids.spans[-1][1])
    link = AuditCheckpoint(number=last.number + 1, removed=removed, ids=str(ids), reach=reach, digest=digest)
    link.before = bytes(last.seal)
    link.save(force_insert=True)
    logger.info("audit_link %s", head_of(link))
    return link


def ids_of(link: AuditCheckpoint) -> IdRanges:
    """Return the ids that a link names; none if somebody has written something else there."""
    try:
        return IdRanges.parse(link.ids)
    except ValueError:
        return IdRanges()


def head_of(link: AuditCheckpoint) -> str:
    """Return what names a state of the chain: who has kept it elsewhere can tell whether the end was cut off since."""
    return f"{link.number}:{bytes(link.seal).hex()}"


def digest_of(seals: Iterable[bytes]) -> bytes:
    """Return the digest over the seals of events, in the order of their ids."""
    return hashlib.sha256(frame(seals)).digest()
