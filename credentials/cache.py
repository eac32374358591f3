"""The verified cache: what the database said about a credential, for as long as that is known to be what it says now.

It holds verdict data under digests, never a secret and never a verdict: expiry, networks and scopes are judged at every
request. Whether it may be trusted is for `credentials.freshness` to know. No entry outlives `MAX_AGE`, whatever that
knows: the last net under a mistake in it, or under somebody who gets round it.

The fill race: a record is kept only if no change was heard between the start of its query and its keeping. Otherwise
an answer from before a change could be kept after the change had been heard, and would stay.
"""

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from django.conf import settings

from credentials import clock

MAX_AGE: Final = 60.0
"""Seconds since the question after which an entry is asked for anew."""


class Remembered(Protocol):
    """A record that may be kept."""

    @property
    def tags(self) -> tuple[str, ...]:
        """What a notice of a change may name: `key:key_…`, `user:usr_…`, `token:tok_…`."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing can bring it back: then there is no point in keeping it."""


Record = TypeVar("Record", bound=Remembered)


class _Entry(NamedTuple):
    record: Any
    tags: tuple[str, ...]
    ends_at: float
    """By `credentials.clock`."""


class VerifiedCache:
    """Records by digest, at most `KEYPORTAL_CACHE_ENTRIES`; the oldest goes first. Safe for threads."""

    def __init__(self, now: Callable[[], float] = clock.now) -> None:
        self._now = now
        self.generation = 0
        """Raised by every change that is heard."""
        self.hits = 0
        self.misses = 0
        self._counting = threading.Lock()
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Any:
        """Give what is kept under this digest; None if nothing is, or nothing young enough."""
        entry = self._entries.get(key)
        return None if entry is None or entry.ends_at <= self._now() else entry.record

    def keep(self, key: bytes, record: Remembered, *, asked_in: int, asked_at: float) -> bool:
        """Keep a record that was asked for in this generation at this time by the cache's clock.

        False if a change was heard since (or none is kept).
        """
        with self._lock:
            if self.generation != asked_in or settings.KEYPORTAL_CACHE_ENTRIES < 1:
                return False
            self._entries.pop(key, None)  # one that grew too old is the newest from now on
            if len(self._entries) >= settings.KEYPORTAL_CACHE_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = _Entry(record, record.tags, asked_at + MAX_AGE)
            return True

    def recalled(self, generation: int | None, key: bytes, ask: Callable[[], Record | None]) -> Record | None:
        """Give what `ask` would give now: from memory if that is current, else by asking.

        `generation` is what `credentials.freshness` gave just before; None if the cache may not be trusted.
        """
        known: Record | None = None if generation is None else self.get(key)
        with self._counting:
            self.hits += known is not None
            self.misses += known is None
        if known is not None:
            return known
        if generation is None:
            return ask()
        asked_at = self._now()
        record = ask()
        if record is not None and not record.is_over:
            self.keep(key, record, asked_in=generation, asked_at=asked_at)
        return record

    def count_hit(self) -> None:
        """Note that a record of `get` was used."""
        with self._counting:
            self.hits += 1

    def clear(self) -> None:
        """Forget everything: something changed, and nobody knows what."""
        with self._lock:
            self.generation += 1
            self._entries = {}

    def drop(self, tags: Collection[str]) -> None:
        """Forget what these tags name."""
        with self._lock:
            self.generation += 1
            self._entries = {key: entry for key, entry in self._entries.items() if not _named(entry.tags, tags)}


def _named(tags: Iterable[str], changed: Collection[str]) -> bool:
    return any(tag in changed for tag in tags)
