"""Is the audit trail as the portal wrote it: every event, every link of the chain, and nothing missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from django.db import connection

from accounts.append_only import faults
from accounts.hostile_rows import fits, read_rows, seal_of
from accounts.id_ranges import IdRanges
from accounts.models import AuditCheckpoint, AuditEvent
from accounts.trail import digest_of, head_of, ids_of


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
    """Links that do not continue the chain, or whose events are others than they were."""
    unguarded: tuple[str, ...] = ()
    """What the database does not refuse any more."""

    @property
    def is_whole(self) -> bool:
        """Return whether all of it fits."""
        return not (self.forged.spans or self.removed.spans or self.broken.spans or self.unguarded)


class _Chain:
    """The links as far as they were read."""

    def __init__(self) -> None:
        self.length = 0
        """The number of the newest link."""
        self.head = ""
        self.covered = IdRanges()
        self.removed = IdRanges()
        self.broken = IdRanges()
        self._seal = b""

    def read_on(self) -> None:
        """Read the links that have come since."""
        covered, removed, broken = [self.covered], [self.removed], [self.broken]
        for number, link in _links(after=self.length):
            if number > self.length + 1:
                broken.append(IdRanges(((self.length + 1, number - 1),)))
            if link is not None:
                link.before = self._seal
            if link is None or not fits(link):
                broken.append(IdRanges.of([number]))
            else:
                (removed if link.removed else covered).append(ids_of(link))
            self.length = number
            self._seal = seal_of(link.seal) if link else b""
            self.head = head_of(link) if link else ""
        self.covered, self.removed, self.broken = map(IdRanges.union, (covered, removed, broken))


def verify_trail() -> TrailReport:
    """Read the whole trail and return what does not fit. Raises `django.db.Error` when the database can't be asked.

    It takes a while, holds nobody up, and does not mind what is written or removed meanwhile: the links are read first,
    and what is missing in the events after that must be named by a link that has come since.
    """
    chain, forged = _Chain(), list[int]()
    chain.read_on()
    length = chain.length
    present = IdRanges.of(_present(forged))
    gone = chain.covered - present
    others = IdRanges.of(_links_of_other_events(upto=length, gone=gone, known=chain.broken))
    chain.read_on()
    return TrailReport(
        events=len(present),
        links=chain.length,
        head=chain.head,
        forged=IdRanges.of(forged),
        removed=gone - chain.removed,
        broken=IdRanges.union([chain.broken, others]),
        unguarded=tuple(faults(connection)),
    )


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
