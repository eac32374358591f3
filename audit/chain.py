"""The chain over the audit trail, which shows that events were removed.

Each event has a seal over all of it, its id included, so an altered, moved, copied or forged event is detected. But the
remaining events don't show that one is missing. So the chain (`KEYPORTAL_AUDIT_CHAIN`) records at intervals which
events exist: a link names their ids, holds a digest over their seals, and is sealed together with the seal of the
previous link. Removing events in their time adds a link that names them.

Ids are not in the order of commits: the event of a slow transaction may come late, and is then in a later link. Writing
an event never waits for any of this.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from typing import Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from audit.chain_state import lock_state, write_state
from audit.id_ranges import MAX_ID, IdRanges
from audit.models import ChainLink, ChainState, Event
from integrity.hostile_rows import has_valid_seal, read_row, read_rows, seal_of
from vault.digests import frame

logger = logging.getLogger(__name__)

LINK_INTERVAL: Final = 60.0  # seconds between two links
MIN_AGE: Final = timedelta(minutes=1)
"""Younger events wait for the next link, because events with neighbouring ids may not be committed yet."""
MAX_LATE_IDS: Final = 10_000  # ids
MAX_LATENESS: Final = timedelta(hours=12)
"""How far back an event may still come late."""
BATCH: Final = 5000  # events per link
RECENT_LINKS: Final = 2000  # links: more than are added in `MAX_LATENESS`


def extend_when_due() -> bool:
    """Extend the chain if no worker has for a while; return False if that failed. Called by a background thread."""
    if not settings.KEYPORTAL_AUDIT_CHAIN:
        return True
    try:
        if not _is_recent():
            while extend_chain() == BATCH:
                continue
    except DatabaseError as error:
        # Events that are not covered now are covered next time.
        logger.warning("the chain of the audit trail could not be extended: %s", error)  # the log has its reason
        return False
    return True


def last_link_at() -> datetime | None:
    """Return when the newest link was added; None if there is none."""
    return ChainLink.objects.order_by("-number").values_list("at", flat=True).first()


@transaction.atomic
def extend_chain() -> int:
    """Add a link over the uncovered events; return their number. If it is `BATCH`, there may be more."""
    end = lock_chain_end()
    reach, floor, covered = _covered_ids(end)
    events = Event.objects.filter(pk__gt=floor, at__lt=Now() - MIN_AGE).order_by("pk")
    rows = ((pk, seal_of(seal)) for pk, seal in events.values_list("pk", "seal").iterator() if pk not in covered)
    added = dict(islice(rows, BATCH))
    if added:
        _add_link(end, IdRanges.of(added), digest=digest_of(added.values()), reach=max(reach, _highest(added)))
    return len(added)


def add_removal_link(ids: Iterable[int]) -> None:
    """Add a link that names events whose time is over, in the caller's transaction, which removes them.

    It is added even if the chain has been switched off since; otherwise events that it covers would count as missing.
    """
    end = lock_chain_end()
    if end.number or settings.KEYPORTAL_AUDIT_CHAIN:
        reach = next((link.reach for link in newest_links(RECENT_LINKS, upto=end.number) if has_valid_seal(link)), 0)
        _add_link(end, IdRanges.of(ids), digest=digest_of([]), reach=reach, removed=True)


class ChainEnd(NamedTuple):
    """The end of the chain, locked until the end of the transaction."""

    number: int
    """The number of the newest link; 0 if there is none."""
    state: ChainState
    is_certain: bool
    """Whether the trail's state confirms the number. If it was tampered with, links may be missing."""


def lock_chain_end() -> ChainEnd:
    """Return the end of the chain, locked. The locked row is not needed for writing events."""
    state, is_ours = lock_state()
    if state.head:
        return ChainEnd(state.head, state, is_certain=True)
    number = next((link.number for link in newest_links(RECENT_LINKS) if has_valid_seal(link)), 0)
    return ChainEnd(number, state, is_certain=is_ours and not number)


def newest_links(at_most: int, *, upto: int = MAX_ID) -> Iterator[ChainLink]:
    """Yield the newest links, newest first, each with the seal of its predecessor. Forged links may be among them."""
    rows = read_rows(ChainLink, before=upto + 1, downwards=True, at_most=at_most + 1)
    links = [row or ChainLink(number=number, seal=b"") for number, row in rows if number > 0]
    for link, before in zip_longest(links[:at_most], links[1:]):
        follows = before is not None and before.number == link.number - 1
        link.before = seal_of(before.seal) if follows else b""
        yield link


def ids_of(link: ChainLink) -> IdRanges:
    """Return the ids that a link names; an empty set if its text is invalid."""
    try:
        return IdRanges.parse(link.ids)
    except ValueError:
        return IdRanges()


def head_of(link: ChainLink) -> str:
    """Return `number:seal` of a link. An operator who has kept it elsewhere can tell if the end is cut off later."""
    return f"{link.number}:{seal_of(link.seal).hex()}"


def digest_of(seals: Iterable[bytes]) -> bytes:
    """Return the digest over the seals of events, in the order of their ids."""
    return hashlib.sha256(frame(seals)).digest()


def _is_recent() -> bool:
    """Return whether the newest link is recent: the link that the sealed state names, as others may be forged."""
    state = read_row(ChainState, 1)
    if state is None or not has_valid_seal(state):
        return False
    return ChainLink.objects.filter(
        number=state.head, removed=False, at__gt=Now() - timedelta(seconds=LINK_INTERVAL / 2)
    ).exists()


def _covered_ids(end: ChainEnd) -> tuple[int, int, IdRanges]:
    """Return the id up to which the chain reaches, the id after which events may come late, and the ids covered there.

    Only links with a valid seal count: a forged one could say anything.
    """
    reach, floor, ids = 0, 0, [IdRanges()]
    long_ago = timezone.now() - MAX_LATENESS
    for link in newest_links(RECENT_LINKS, upto=end.number):
        if not has_valid_seal(link):
            continue
        reach = reach or link.reach
        floor = max(reach - MAX_LATE_IDS, 0)
        if link.reach <= floor or link.at < long_ago:
            return reach, max(floor, link.reach), IdRanges.union(ids)
        if not link.removed:
            ids.append(ids_of(link))
    return reach, floor, IdRanges.union(ids)


def _highest(ids: dict[int, bytes]) -> int:
    """Return the highest id of an event with a valid seal: a forged event could have any id."""
    return next((pk for pk in reversed(ids) if has_valid_seal(read_row(Event, pk))), 0)


def _add_link(end: ChainEnd, ids: IdRanges, *, digest: bytes, reach: int, removed: bool = False) -> None:
    """Insert a link after the last one. The log keeps a copy of its seal, outside the database.

    If it is not certain how many links there were, a number is skipped, so that this remains visible.
    """
    number = _free_number(end.number + (1 if end.is_certain else 2))
    before = read_row(ChainLink, number - 1)
    link = ChainLink(number=number, removed=removed, ids=str(ids), reach=reach, digest=digest)
    link.before = seal_of(before.seal) if before else b""
    link.save(force_insert=True)  # seals it too
    write_state(end.state, head=link.number, head_seal=link.seal)
    logger.info("audit_link %s", head_of(link))


def _free_number(number: int) -> int:
    """Return the first free number from this one on."""
    taken = ChainLink.objects.filter(number__gte=number).order_by("number").values_list("number", flat=True)
    for other in taken.iterator():
        if other != number:
            break
        number += 1
    return number
