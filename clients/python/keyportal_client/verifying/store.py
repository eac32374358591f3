"""What a verifier knows: records, up to which change they are current, and until when it may judge by them.

It knows nothing of networks and threads: others ask the portal and tell it of the answers. Every rule of "What a
verifier does" in docs/change-feed.md of the project is here.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from math import inf
from typing import Final, NamedTuple

from keyportal_client.verifying import clock
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.cursor import Cursor
from keyportal_client.verifying.record import Record

LEASE: Final = 2.0
"""Seconds after the moment up to which everything is known."""
MAX_AGE: Final = 60.0
"""Seconds after which a record is asked for anew, whatever the feed says."""
MAX_RECORDS: Final = 20_000


class Changes(NamedTuple):
    """One answer of the change feed."""

    cursor: Cursor
    age: float
    """For how many seconds the portal has not been certain that this is everything."""
    tags: tuple[str, ...] | None
    """What has changed; None for everything."""


class Question(NamedTuple):
    """A question about a credential that was begun."""

    resets: int
    """How often everything had been forgotten."""
    began: float
    """By the store's clock."""


class _Entry(NamedTuple):
    record: Record
    ends_at: float


class _PortalClock(NamedTuple):
    """The portal's clock, compared with the store's."""

    ahead: float
    """By how many seconds the portal's is ahead, at most: a moment is rather reached too early than too late."""
    took: float
    """For how long the answer was on its way, by which `ahead` may be wrong."""
    compared_at: float

    def compared(self, portal_time: float, *, began: float, now: float) -> "_PortalClock":
        """Return the better of two comparisons, but none that is older than a minute."""
        is_worse = now - began > self.took and now - self.compared_at < MAX_AGE
        # The true difference is between these two: if the former one is not, the portal's clock was set.
        if is_worse and portal_time - now <= self.ahead and self.ahead - self.took <= portal_time - began:
            return self
        return _PortalClock(portal_time - began, now - began, now)


class RecordStore:
    """Records by a digest of the credential under a key of this process alone. Thread-safe."""

    def __init__(self, *, now: Clock = clock.now, max_records: int = MAX_RECORDS) -> None:
        self._now = now
        self._max_records = max_records
        self._key = os.urandom(32)
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry] = {}
        self._tagged: dict[str, set[bytes]] = {}
        self._cursor: Cursor | None = None
        self._resets = 0
        self.lease_until = 0.0
        """By the store's clock."""
        self._clock = _PortalClock(0.0, inf, -inf)
        self._used_at = self._now()
        self._wake: Callable[[], object] | None = None
        """While it rests: what ends that."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def cursor(self) -> Cursor | None:
        """What to poll with; None for the first poll."""
        return self._cursor

    @property
    def is_current(self) -> bool:
        """Whether it may be judged by the records."""
        return self._now() < self.lease_until

    def digest(self, credential: str) -> bytes:
        """Return what a record is kept under."""
        return hashlib.blake2s(credential.encode("utf-8", "surrogatepass"), key=self._key, digest_size=20).digest()

    def get(self, digest: bytes) -> Record | None:
        """Return a record to judge by now, None if the portal must be asked."""
        now = self._now()
        self._used_at = now
        if self._wake is not None:
            self._wake()
            return None
        if now >= self.lease_until:
            return None
        entry = self._entries.get(digest)
        return None if entry is None or entry.ends_at <= now else entry.record

    def idle_if_unused(self, idle_for: float, *, wake: Callable[[], object]) -> bool:
        """Become idle if no record was looked up for so many seconds; return whether it is.

        While idle, a lookup finds no record and calls `wake`. The next answer of the feed ends it.
        """
        if self._now() - self._used_at < idle_for:
            return False
        self._wake = wake
        return True

    def end_idling(self) -> None:
        """End being idle without an answer of the feed: lookups go by the lease again, and wake nothing."""
        self._wake = None

    def portal_time(self) -> float:
        """Return the time by the portal's clock, in seconds since 1970."""
        return self._now() + self._clock.ahead

    def known_time(self) -> float | None:
        """Return the same; None if the portal's clock is not known yet."""
        return self.portal_time() if self._clock.compared_at > -inf else None

    def begin(self) -> Question:
        """Return the beginning of a question about a credential."""
        return Question(self._resets, self._now())

    def age(self, question: Question) -> float:
        """Return how many seconds ago a question was begun."""
        return self._now() - question.began

    def put(self, digest: bytes, record: Record, question: Question, *, cursor: Cursor, portal_time: float) -> bool:
        """Keep the record of an answer; return False, and keep nothing, unless it is known to be current.

        `portal_time` is the portal's clock when it answered, in seconds since 1970.
        """
        with self._lock:
            if self._cursor is None:
                self._cursor = cursor  # a place of the feed as good as its own first one
            if self._resets != question.resets or cursor.is_before(self._cursor):
                return False
            self._clock = self._clock.compared(portal_time, began=question.began, now=self._now())
            self._drop([digest])
            while len(self._entries) >= self._max_records:
                self._drop([next(iter(self._entries))])
            self._entries[digest] = _Entry(record, question.began + MAX_AGE)
            for tag in record.tags:
                self._tagged.setdefault(tag, set()).add(digest)
            return True

    def apply_changes(self, changes: Changes, *, began: float) -> None:
        """Apply an answer to a poll that was begun at this time by the store's clock."""
        with self._lock:
            own, self._cursor = self._cursor, changes.cursor
            if own is None:
                pass  # nothing is known that could have changed; what is on its way is compared with this cursor
            elif changes.tags is None or changes.cursor.is_before(own):
                self._forget()
            else:
                for tag in changes.tags:
                    self._drop(self._tagged.get(tag, ()))
            self.lease_until = max(self.lease_until, began - changes.age + LEASE)
            self._wake = None

    def _drop(self, digests: Iterable[bytes]) -> None:
        for digest in list(digests):
            entry = self._entries.pop(digest, None)
            if entry is not None:
                for tag in entry.record.tags:
                    tagged = self._tagged[tag]
                    tagged.discard(digest)
                    if not tagged:
                        del self._tagged[tag]

    def _forget(self) -> None:
        self._resets += 1
        self._entries, self._tagged = {}, {}
