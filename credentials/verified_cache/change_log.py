"""The changes that a listener has received, kept in order, so that verifiers in other processes can ask for them.

PostgreSQL delivers the notifications of all transactions to every listener in one order. So a place in that order
means the same to every worker on every host, and a verifier may ask another worker each time. A place is a number of a
transaction, and how many of that transaction's notifications are before it: they may arrive in several pieces.

What must never happen is that a verifier is told "nothing has changed" although something has. Whenever that can't be
ruled out, the answer is None, and the verifier forgets all its records (docs/change-feed.md has the proof).
"""

import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

from credentials.verified_cache import clock
from credentials.verified_cache.changes import Change, Position

KEPT: Final = 10_000
"""The newest changes, which are kept at least."""
MAX_AHEAD: Final = 256
"""The cursors that this worker has yet to reach, of which it keeps in mind when it first saw them."""
AHEAD_FOR: Final = 60.0
"""Seconds after which it no longer keeps one in mind: it will not come, and leaves its room to others."""
_CURSOR: Final = re.compile(r"([0-9a-f]{16})\.(\d{1,19})\.(\d{1,9})\.([0-9a-f-]{1,36})", re.ASCII)


class Place(NamedTuple):
    """A place between two changes."""

    n: int
    """All changes of earlier transactions are before it."""
    part: int
    """The number of this transaction's changes that are before it."""


class Cursor(NamedTuple):
    """What a verifier has heard: everything before a place, in one database."""

    identity: str
    """A digest of all that the order of changes rests on: the database, its tables and its triggers."""
    place: Place
    nonce: str
    """Random, of the last transaction before the place: tells whether a number has occurred twice."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the cursor, or None for a text that is none of this version's."""
        found = _CURSOR.fullmatch(text)
        return cls(found[1], Place(int(found[2]), int(found[3])), found[4]) if found else None

    def __str__(self) -> str:
        return f"{self.identity}.{self.place.n}.{self.place.part}.{self.nonce}"


class News(NamedTuple):
    """What a verifier missed."""

    cursor: Cursor
    """Its next cursor. The one that it had, if another worker received more than this one."""
    tags: Sequence[str] | None
    """The tags of the changes in between; None if they are not known."""
    is_up_to_date: bool = True
    """False if this worker has yet to receive what the verifier has already heard, and so can't say more."""


class ChangeLog:
    """The changes since this worker began to listen, or since it last missed one. Thread-safe."""

    def __init__(self) -> None:
        self._identity = ""
        self._head: Cursor | None = None
        self._tags: list[str] = []
        self._places: list[Place] = []
        """The place before each of the tags."""
        self._nonces: dict[int, str] = {}
        """By the number of the transaction."""
        self._after: Position | None = None
        """The position of the transaction after which this began, to which nothing is added."""
        self._ahead: dict[Place, float] = {}
        """When a cursor was first seen that leads further than what has arrived."""
        self._checked_at = 0.0
        """When the change counter was last read, up to which everything has arrived."""
        self._lock = threading.Lock()

    @property
    def head(self) -> Cursor | None:
        """The place after everything that has arrived; None while that is not known."""
        return self._head

    def begin(self, identity: str, *, after: Position | None) -> None:
        """Start over in this database, after the last position that a notification had."""
        with self._lock:
            self._identity = identity
            self._forget(after)

    def forget(self, *, after: Position | None) -> None:
        """Start over after this position: something may have changed that has not arrived."""
        with self._lock:
            self._forget(after)

    def append(self, changes: Iterable[Change]) -> None:
        """Add changes that follow the earlier ones without a gap."""
        with self._lock:
            for change in changes:
                # How many of this transaction's notifications came before is not known.
                if change.position != self._after:
                    self._append(change)
            if len(self._tags) > 2 * KEPT:
                self._trim()

    def confirm(self, counter: Position, *, read_at: float) -> None:
        """Note that everything has arrived up to the change counter as it was at this time, by this worker's clock."""
        with self._lock:
            head = self._head
            if head is None or head.place.n <= counter.n:
                self._nonces[counter.n] = counter.nonce
                self._head = head = Cursor(self._identity, Place(counter.n + 1, 0), counter.nonce)
            self._ahead = {
                place: seen_at
                for place, seen_at in self._ahead.items()
                if place > head.place and seen_at > read_at - AHEAD_FOR
            }
            self._checked_at = read_at

    def since(self, cursor: Cursor | None) -> News | None:
        """Return what came after a cursor; None while no place in the order is known."""
        with self._lock:
            head = self._head
            if head is None:
                return None
            if cursor is None or cursor.identity != self._identity:
                return News(head, None)
            if cursor.place > head.place:
                return News(cursor, [], is_up_to_date=False) if self._may_come(cursor.place) else News(head, None)
            return News(head, self._tags_since(cursor, head))

    def _tags_since(self, cursor: Cursor, head: Cursor) -> list[str] | None:
        if self._nonces.get(_last_before(cursor.place)) != cursor.nonce:
            return None
        if cursor.place == head.place:
            return []
        if not self._places or cursor.place < self._places[0]:
            return None
        return self._tags[bisect_left(self._places, cursor.place) :]

    def _may_come(self, place: Place) -> bool:
        """Return whether what is before this place may still be on its way.

        It was committed before the cursor was seen here. So if the change counter was read later than that, and has
        not reached the place, it never will: the database went back to an earlier state.
        """
        seen_at = self._ahead.get(place)
        if seen_at is None:
            if len(self._ahead) >= MAX_AHEAD:
                return False
            seen_at = self._ahead[place] = clock.now()
        return seen_at >= self._checked_at

    def _append(self, change: Change) -> None:
        position, tag = change
        head = self._head
        if head is not None and position.n < head.place.n:  # of a transaction that was complete: not in order
            self._forget(position)
            return
        part = head.place.part if head and head.place.n == position.n else 0
        self._places.append(Place(position.n, part))
        self._tags.append(tag)
        self._nonces[position.n] = position.nonce
        self._head = Cursor(self._identity, Place(position.n, part + 1), position.nonce)

    def _forget(self, after: Position | None) -> None:
        self._head, self._after = None, after
        self._tags, self._places, self._nonces, self._ahead = [], [], {}, {}

    def _trim(self) -> None:
        """Forget the oldest changes."""
        del self._tags[:-KEPT], self._places[:-KEPT]
        first = _last_before(self._places[0])
        self._nonces = {n: nonce for n, nonce in self._nonces.items() if n >= first}


def _last_before(place: Place) -> int:
    """Return the number of the last transaction of which anything is before a place."""
    return place.n if place.part else place.n - 1
