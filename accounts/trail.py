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
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice, zip_longest
from typing import Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.hostile_rows import fits, read_row, read_rows, seal_of
from accounts.id_ranges import REASONABLE, IdRanges
from accounts.models import AuditCheckpoint, AuditEvent, AuditState
from accounts.trail_state import hold_state, keep_state
from vault.framing import frame

logger = logging.getLogger(__name__)

EVERY: Final = 60.0  # seconds between two links
SETTLED: Final = timedelta(minutes=1)
"""Younger events wait for the next link: their neighbours may not be committed yet."""
LATE: Final = 10_000  # ids
LATEST: Final = timedelta(hours=12)
"""So far back an event may still come late."""
BATCH: Final = 5000  # events of a link
RECENT: Final = 2000  # links: more than there are in that time


def extend_now_and_then() -> None:
    """Extend the chain if no worker has for a while. A thread that has time calls this (`keyportal/server.py`)."""
    if not settings.KEYPORTAL_AUDIT_CHAIN:
        return
    try:
        if not _was_just_extended():
            while extend_chain() == BATCH:
                continue
    except DatabaseError as error:
        # What is not covered now is covered next time.
        logger.warning("the chain of the audit trail could not be extended: %s", type(error).__name__)


@transaction.atomic
def extend_chain() -> int:
    """Add a link over the events that none covers; return how many: with `BATCH` there may be more."""
    end = hold_end()
    reach, floor, covered = _covered(end)
    events = AuditEvent.objects.filter(pk__gt=floor, at__lt=Now() - SETTLED).order_by("pk")
    rows = ((pk, seal_of(seal)) for pk, seal in events.values_list("pk", "seal").iterator() if pk not in covered)
    added = dict(islice(rows, BATCH))
    if added:
        _add_link(end, IdRanges.of(added), digest=digest_of(added.values()), reach=max(reach, _highest(added)))
    return len(added)


def note_removal(ids: Iterable[int]) -> None:
    """Add a link that names events which are being removed in their time, in the caller's transaction.

    Also where the chain has been switched off since: what it covers would be missing otherwise.
    """
    end = hold_end()
    if end.number or settings.KEYPORTAL_AUDIT_CHAIN:
        reach = next((link.reach for link in newest_links(RECENT, upto=end.number) if fits(link)), 0)
        _add_link(end, IdRanges.of(ids), digest=digest_of([]), reach=reach, removed=True)


class End(NamedTuple):
    """Where the chain ends, held until the transaction is over."""

    number: int
    """Of the newest link; 0 if there is none."""
    state: AuditState
    is_certain: bool
    """Whether the state of the trail says so. Otherwise somebody has changed it, and links may be gone."""


def hold_end() -> End:
    """Return the end of the chain. What is held is a row of its own, that no writer of events needs."""
    state, is_ours = hold_state()
    if state.head:
        return End(state.head, state, is_certain=True)
    number = next((link.number for link in newest_links(RECENT) if fits(link)), 0)
    return End(number, state, is_certain=is_ours and not number)


def newest_links(at_most: int, *, upto: int = REASONABLE) -> Iterator[AuditCheckpoint]:
    """Give the newest links, backwards, each with the seal of the one before it. Anybody may have inserted some."""
    rows = read_rows(AuditCheckpoint, before=upto + 1, downwards=True, at_most=at_most + 1)
    links = [row or AuditCheckpoint(number=number, seal=b"") for number, row in rows if number > 0]
    for link, before in zip_longest(links[:at_most], links[1:]):
        follows = before is not None and before.number == link.number - 1
        link.before = seal_of(before.seal) if follows else b""
        yield link


def ids_of(link: AuditCheckpoint) -> IdRanges:
    """Return the ids that a link names; none if somebody has written something else there."""
    try:
        return IdRanges.parse(link.ids)
    except ValueError:
        return IdRanges()


def head_of(link: AuditCheckpoint) -> str:
    """Return what names a state of the chain: who has kept it elsewhere can tell whether the end was cut off since."""
    return f"{link.number}:{seal_of(link.seal).hex()}"


def digest_of(seals: Iterable[bytes]) -> bytes:
    """Return the digest over the seals of events, in the order of their ids."""
    return hashlib.sha256(frame(seals)).digest()


def _was_just_extended() -> bool:
    """Return whether the newest link is a moment old: that of the state, for anybody may have inserted others."""
    state = read_row(AuditState, 1)
    if state is None or not fits(state):
        return False
    return AuditCheckpoint.objects.filter(
        number=state.head, removed=False, at__gt=Now() - timedelta(seconds=EVERY / 2)
    ).exists()


def _covered(end: End) -> tuple[int, int, IdRanges]:
    """Return how far the chain reaches, from where on an event may come late, and what is covered from there on.

    By the links that fit: one that somebody else has inserted could say anything.
    """
    reach, floor, ids = 0, 0, [IdRanges()]
    long_ago = timezone.now() - LATEST
    for link in newest_links(RECENT, upto=end.number):
        if not fits(link):
            continue
        reach = reach or link.reach
        floor = max(reach - LATE, 0)
        if link.reach <= floor or link.at < long_ago:
            return reach, max(floor, link.reach), IdRanges.union(ids)
        if not link.removed:
            ids.append(ids_of(link))
    return reach, floor, IdRanges.union(ids)


def _highest(ids: dict[int, bytes]) -> int:
    """Return the highest id of an event that fits: one that somebody else has inserted could be anywhere."""
    return next((pk for pk in reversed(ids) if fits(read_row(AuditEvent, pk))), 0)


def _add_link(end: End, ids: IdRanges, *, digest: bytes, reach: int, removed: bool = False) -> None:
    """Insert the link behind the last one. The log keeps a copy of its seal, outside the database.

    Where it is not certain how many links there were, a number is left out, so that this shows ever after.
    """
    number = _free_number(end.number + (1 if end.is_certain else 2))
    before = read_row(AuditCheckpoint, number - 1)
    link = AuditCheckpoint(number=number, removed=removed, ids=str(ids), reach=reach, digest=digest)
    link.before = seal_of(before.seal) if before else b""
    link.save(force_insert=True)  # which seals it
    keep_state(end.state, head=link.number, head_seal=link.seal)
    logger.info("audit_link %s", head_of(link))


def _free_number(number: int) -> int:
    """Return the first number from this one on that nobody has taken."""
    taken = AuditCheckpoint.objects.filter(number__gte=number).order_by("number").values_list("number", flat=True)
    for other in taken.iterator():
        if other != number:
            break
        number += 1
    return number
