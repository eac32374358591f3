"""Is the audit trail as the portal wrote it: every event, every link of the chain, and nothing missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from accounts.guard_health import STATE, faults
from accounts.hostile_rows import fits, read_row, read_rows, seal_of
from accounts.id_ranges import IdRanges
from accounts.models import AuditCheckpoint, AuditEvent, AuditState
from accounts.trail import digest_of, head_of, ids_of

OVERDUE: Final = timedelta(hours=1)
"""A worker adds a link every minute, so older events are in one, unless none was running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailReport:
    """What was found."""

    events: int
    links: int
    head: str = ""
    """The newest link: `number:seal`. Empty without a chain."""
    forged: IdRanges = field(default_factory=IdRanges)
    """Events whose seal does not fit: altered, or written by somebody else."""
    removed: IdRanges = field(default_factory=IdRanges)
    """Events that the chain covers, and that are gone without the portal's doing."""
    broken: IdRanges = field(default_factory=IdRanges)
    """Links that do not continue the chain, are missing, or whose events are others than they were."""
    unchained: IdRanges = field(default_factory=IdRanges)
    """Events that should have been in a link long ago."""
    gaps: IdRanges = field(default_factory=IdRanges)
    """Ids of no event, and none of those above. No fault: a transaction that was rolled back leaves one as well."""
    unguarded: tuple[str, ...] = ()
    """What the database does not refuse any more, and whether the row beside the trail is the portal's."""

    @property
    def is_whole(self) -> bool:
        """Return whether all of it fits."""
        found = (self.forged, self.removed, self.broken, self.unchained)
        return not (self.unguarded or any(ids.spans for ids in found))


class _Chain:
    """The links as far as they were read, against where the state of the trail says that they end."""

    def __init__(self) -> None:
        self.state = read_row(AuditState, 1)
        """Read before the links are: they may only have become more."""
        self.length = 0
        """The number of the newest link."""
        self.links = 0
        """How many fit."""
        self.head = ""
        self.covered = IdRanges()
        self.removed = IdRanges()
        self.broken = IdRanges()
        self._seal = b""

    def read_on(self) -> None:
        """Read the links that have come since."""
        covered, removed, broken = [self.covered], [self.removed], [self.broken]
        for number, link in _links(after=self.length):
            follows = number == self.length + 1
            if not follows:
                broken.append(IdRanges(((self.length + 1, number - 1),)))
            if link is not None:
                link.before = self._seal if follows else b""
            if link is None or not fits(link) or self._is_another_end(link):
                broken.append(IdRanges.of([number]))
            else:
                (removed if link.removed else covered).append(ids_of(link))
                self.head, self.links = head_of(link), self.links + 1
            self.length = number
            self._seal = seal_of(link.seal) if link else b""
        self.covered, self.removed, self.broken = map(IdRanges.union, (covered, removed, broken))

    def cut_off(self) -> IdRanges:
        """Return the links that the state knows of, and that are not there."""
        end = self.state.head if self.state and fits(self.state) else 0
        return IdRanges(((self.length + 1, end),)) if end > self.length else IdRanges()

    def fault(self) -> str:
        """Return in words what is wrong with the state; empty if nothing is."""
        if self.state is not None:
            return "" if fits(self.state) else f"the row of {STATE} is not as the portal wrote it"
        return f"the row of {STATE} is missing" if self.length else ""

    def _is_another_end(self, link: AuditCheckpoint) -> bool:
        state = self.state
        return state is not None and link.number == state.head and seal_of(link.seal) != seal_of(state.head_seal)


def verify_trail() -> TrailReport:
    """Read the whole trail and return what does not fit. Raises `django.db.Error` when the database can't be asked.

    It takes a while, holds nobody up, and does not mind what is written or removed meanwhile: the links are read first,
    and what is missing in the events after that must be named by a link that has come since.
    """
    chain, forged_ids = _Chain(), list[int]()
    chain.read_on()
    length = chain.length
    broken = [chain.cut_off()]
    present = IdRanges.of(_present(forged_ids))
    gone = chain.covered - present
    broken.append(IdRanges.of(_links_of_other_events(upto=length, gone=gone, known=chain.broken)))
    chain.read_on()
    forged, removed = IdRanges.of(forged_ids), gone - chain.removed
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
    """Give the events that should be in a link: what is in none could be removed, and nobody would miss it."""
    if settings.KEYPORTAL_AUDIT_CHAIN:
        for first, last in uncovered.spans:
            old = AuditEvent.objects.filter(pk__gte=first, pk__lte=last, at__lt=Now() - OVERDUE)
            yield from old.order_by("pk").values_list("pk", flat=True).iterator()


def _present(forged: list[int]) -> Iterator[int]:
    """Go through the events; give their ids, and note those whose seal does not fit."""
    after = None
    while batch := read_rows(AuditEvent, after=after):
        for after, event in batch:
            if not fits(event):
                forged.append(after)
            yield after


def _links(*, after: int) -> Iterator[tuple[int, AuditCheckpoint | None]]:
    while batch := read_rows(AuditCheckpoint, after=after):
        yield from batch
        after = batch[-1][0]


def _links_of_other_events(*, upto: int, gone: IdRanges, known: IdRanges) -> Iterator[int]:
    """Give the links whose digest does not fit the seals of their events, where all of those are there."""
    for number, link in takewhile(lambda numbered: numbered[0] <= upto, _links(after=0)):
        if link is None or link.removed or number in known:
            continue
        ids = ids_of(link)
        if not ids.spans or len(ids - gone) < len(ids):
            continue
        between = AuditEvent.objects.filter(pk__gte=ids.spans[0][0], pk__lte=ids.spans[-1][1]).order_by("pk")
        seals = [seal_of(seal) for pk, seal in between.values_list("pk", "seal") if pk in ids]
        if len(seals) == len(ids) and digest_of(seals) != seal_of(link.digest):
            yield number
