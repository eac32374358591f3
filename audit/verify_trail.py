"""Verify that the audit trail is as the portal wrote it: every event, every link of the chain, and nothing missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from audit.append_only_health import STATE, faults
from audit.chain import digest_of, head_of, ids_of
from audit.id_ranges import IdRanges
from audit.models import ChainLink, ChainState, Event
from integrity.hostile_rows import has_valid_seal, read_row, read_rows, seal_of

OVERDUE: Final = timedelta(hours=1)
"""Workers add a link every minute, so older events are in one, unless no worker was running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailReport:
    """The result of a verification."""

    events: int
    links: int
    head: str = ""
    """The newest link as `number:seal`; empty without a chain."""
    forged: IdRanges = field(default_factory=IdRanges)
    """Events whose seal is not valid, because they were altered or forged."""
    removed: IdRanges = field(default_factory=IdRanges)
    """Events that the chain covers, and that were not removed by the portal."""
    broken: IdRanges = field(default_factory=IdRanges)
    """Links that are missing, do not continue the chain, or whose events are no longer the same."""
    unchained: IdRanges = field(default_factory=IdRanges)
    """Events that should have been in a link long ago."""
    gaps: IdRanges = field(default_factory=IdRanges)
    """Ids without an event, apart from those above. Not a fault: a transaction that is rolled back leaves one, too."""
    unguarded: tuple[str, ...] = ()
    """Faults of the triggers that guard the trail, and of the state row beside it, as messages."""

    @property
    def is_valid(self) -> bool:
        """Whether no fault was found."""
        found = (self.forged, self.removed, self.broken, self.unchained)
        return not (self.unguarded or any(ids.spans for ids in found))


class _Chain:
    """The links as far as they were read, compared with the end that the trail's state names."""

    def __init__(self) -> None:
        self.state = read_row(ChainState, 1)
        """Read before the links, so that there can only be more of them than it says."""
        self.length = 0
        """The number of the newest link."""
        self.links = 0
        """The number of valid links."""
        self.head = ""
        self.covered = IdRanges()
        self.removed = IdRanges()
        self.broken = IdRanges()
        self._seal = b""

    def read_on(self) -> None:
        """Read the links that were added since the last call."""
        covered, removed, broken = [self.covered], [self.removed], [self.broken]
        for number, link in _links(after=self.length):
            follows = number == self.length + 1
            if not follows:
                broken.append(IdRanges(((self.length + 1, number - 1),)))
            if link is not None:
                link.before = self._seal if follows else b""
            if link is None or not has_valid_seal(link) or self._is_another_end(link):
                broken.append(IdRanges.of([number]))
            else:
                (removed if link.removed else covered).append(ids_of(link))
                self.head, self.links = head_of(link), self.links + 1
            self.length = number
            self._seal = seal_of(link.seal) if link else b""
        self.covered, self.removed, self.broken = map(IdRanges.union, (covered, removed, broken))

    def cut_off(self) -> IdRanges:
        """Return the numbers of links that the state knows but that are missing."""
        end = self.state.head if self.state and has_valid_seal(self.state) else 0
        return IdRanges(((self.length + 1, end),)) if end > self.length else IdRanges()

    def fault(self) -> str:
        """Return a message about what is wrong with the state; empty if nothing is."""
        if self.state is not None:
            return "" if has_valid_seal(self.state) else f"the row of {STATE} is not as the portal wrote it"
        return f"the row of {STATE} is missing" if self.length else ""

    def _is_another_end(self, link: ChainLink) -> bool:
        state = self.state
        return state is not None and link.number == state.head and seal_of(link.seal) != seal_of(state.head_seal)


def verify_trail() -> TrailReport:
    """Read the whole trail and return a report. Raises `django.db.Error` if the database can't be queried.

    It takes a while, blocks no writer, and copes with concurrent writes and removals: the links are read first, and an
    event that is missing afterwards must be named by a link that was added since.
    """
    chain, forged_ids = _Chain(), list[int]()
    chain.read_on()
    length = chain.length
    broken = [chain.cut_off()]
    present = IdRanges.of(_present(forged_ids))
    missing = chain.covered - present
    broken.append(IdRanges.of(_links_of_other_events(upto=length, missing=missing, known=chain.broken)))
    chain.read_on()
    forged, removed = IdRanges.of(forged_ids), missing - chain.removed
    known = IdRanges.union([present, chain.removed, removed])
    return TrailReport(
        events=len(present),
        links=chain.links,
        head=chain.head,
        forged=forged,
        removed=removed,
        broken=IdRanges.union([*broken, chain.broken]),
        unchained=IdRanges.of(_overdue(present - chain.covered)),
        gaps=IdRanges(((1, (present - forged).last),)) - known,
        unguarded=tuple(filter(None, [*faults(connection), chain.fault()])),
    )


def _overdue(uncovered: IdRanges) -> Iterator[int]:
    """Yield the events that should be in a link by now. An event in no link could be removed unnoticed."""
    if settings.KEYPORTAL_AUDIT_CHAIN:
        for first, last in uncovered.spans:
            old = Event.objects.filter(pk__gte=first, pk__lte=last, at__lt=Now() - OVERDUE)
            yield from old.order_by("pk").values_list("pk", flat=True).iterator()


def _present(forged: list[int]) -> Iterator[int]:
    """Yield the ids of all events, and append those whose seal is not valid to `forged`."""
    after = None
    while batch := read_rows(Event, after=after):
        for after, event in batch:
            if not has_valid_seal(event):
                forged.append(after)
            yield after


def _links(*, after: int) -> Iterator[tuple[int, ChainLink | None]]:
    while batch := read_rows(ChainLink, after=after):
        yield from batch
        after = batch[-1][0]


def _links_of_other_events(*, upto: int, missing: IdRanges, known: IdRanges) -> Iterator[int]:
    """Yield the numbers of links whose digest does not match their events' seals, if all of the events exist."""
    for number, link in takewhile(lambda numbered: numbered[0] <= upto, _links(after=0)):
        if link is None or link.removed or number in known:
            continue
        ids = ids_of(link)
        if not ids.spans or len(ids - missing) < len(ids):
            continue
        between = Event.objects.filter(pk__gte=ids.spans[0][0], pk__lte=ids.spans[-1][1]).order_by("pk")
        seals = [seal_of(seal) for pk, seal in between.values_list("pk", "seal") if pk in ids]
        if len(seals) == len(ids) and digest_of(seals) != seal_of(link.digest):
            yield number
