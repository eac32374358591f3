"""Is the audit trail as the portal wrote it: every event, every link of the chain, and nothing missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import DatabaseError, connection

from accounts.append_only import faults
from accounts.id_ranges import IdRanges
from accounts.models import AuditCheckpoint, AuditEvent
from accounts.trail import digest_of, head_of, ids_of

AT_ONCE = 2000  # rows
UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, DatabaseError)
"""What reading a row raises in which somebody has written what the portal never does."""


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
        self.last: AuditCheckpoint | None = None
        self.covered = IdRanges()
        self.removed = IdRanges()
        self.broken: set[int] = set()

    @property
    def length(self) -> int:
        """Return the number of the newest link."""
        return self.last.number if self.last else 0

    def read_on(self) -> None:
        """Read the links that have come since."""
        covered, removed = [self.covered], [self.removed]
        for link in _links(after=self.length):
            self.broken.update(range(self.length + 1, link.number))
            link.before = bytes(self.last.seal) if self.last else b""
            self.last = link
            if not _is_intact(link):
                self.broken.add(link.number)
            else:
                (removed if link.removed else covered).append(ids_of(link))
        self.covered, self.removed = IdRanges.union(covered), IdRanges.union(removed)


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
    chain.broken.update(_links_of_other_events(upto=length, gone=gone, known=chain.broken))
    chain.read_on()
    return TrailReport(
        events=len(present),
        links=chain.length,
        head=head_of(chain.last) if chain.last else "",
        forged=IdRanges.of(forged),
        removed=gone - chain.removed,
        broken=IdRanges.of(sorted(chain.broken)),
        unguarded=tuple(faults(connection)),
    )


def _present(forged: list[int]) -> Iterator[int]:
    """Go through the events; give their ids, and note those whose seal does not fit."""
    after = None
    while batch := _some_events(after):
        for after, event in batch:
            if event is None or not _is_intact(event):
                forged.append(after)
            yield after


def _some_events(after: int | None) -> list[tuple[int, AuditEvent | None]]:
    """Return the next events with their ids; None for one that can't even be read."""
    rows = (
        AuditEvent.objects.order_by("pk") if after is None else AuditEvent.objects.filter(pk__gt=after).order_by("pk")
    )
    try:
        return [(event.pk, event) for event in rows[:AT_ONCE]]
    except UNREADABLE:
        return [(pk, _event(pk)) for pk in rows.values_list("pk", flat=True)[:AT_ONCE]]


def _event(pk: int) -> AuditEvent | None:
    try:
        return AuditEvent.objects.filter(pk=pk).first()
    except UNREADABLE:
        AuditEvent.objects.filter(pk=pk).exists()  # the database answers: it is the row
        return None


def _is_intact(row: AuditEvent | AuditCheckpoint) -> bool:
    try:
        return row.is_intact()
    except UNREADABLE:
        return False


def _links(*, after: int = 0, upto: int | None = None) -> Iterator[AuditCheckpoint]:
    links = AuditCheckpoint.objects.order_by("number")
    if upto is not None:
        links = links.filter(number__lte=upto)
    while batch := list(links.filter(number__gt=after)[:AT_ONCE]):
        yield from batch
        after = batch[-1].number


def _links_of_other_events(*, upto: int, gone: IdRanges, known: set[int]) -> Iterator[int]:
    """Give the links whose digest does not fit the seals of their events, where all of those are there."""
    for link in _links(upto=upto):
        ids = ids_of(link)
        if link.removed or link.number in known or not ids.spans or len(ids - gone) < len(ids):
            continue
        between = AuditEvent.objects.filter(pk__gte=ids.spans[0][0], pk__lte=ids.spans[-1][1]).order_by("pk")
        seals = [bytes(seal) for pk, seal in between.values_list("pk", "seal") if pk in ids]
        if len(seals) == len(ids) and digest_of(seals) != bytes(link.digest):
            yield link.number
