"""The verified cache holds records of credentials, which are used while they are known to be current.

It holds verdict data under digests, never a secret and never a verdict: expiry, networks and scopes are checked at
every request. `credentials.verified_cache.freshness` knows whether the cache may be trusted. No entry outlives
`MAX_AGE` in any case, as the last safeguard against a mistake in freshness or a change that got round it.

The fill race: a record is stored only if no change became known between the start of its query and its storing.
Otherwise an answer from before a change could be stored after the change became known, and would stay.
"""

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from django.conf import settings

from credentials.verified_cache import clock

MAX_AGE: Final = 60.0
"""Seconds after the start of its query at which an entry is no longer used."""


class Cacheable(Protocol):
    """A record that may be cached."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags by which a notification may name this record: `key:key_…`, `user:usr_…`, `token:tok_…`."""

    @property
    def is_terminal(self) -> bool:
        """Whether the credential has ended for good, so that there is no point in caching it."""


Record = TypeVar("Record", bound=Cacheable)


class _Entry(NamedTuple):
    record: Any
    tags: tuple[str, ...]
    ends_at: float
    """In seconds of `credentials.verified_cache.clock`."""


class VerifiedCache:
    """Records by digest, at most `KEYPORTAL_CACHE_ENTRIES`; the oldest is evicted first. Thread-safe."""

    def __init__(self, now: Callable[[], float] = clock.now) -> None:
        self._now = now
        self.generation = 0
        """Incremented by every change that becomes known."""
        self.hits = 0
        self.misses = 0
        self._counting = threading.Lock()
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> Any:
        """Return the record under this digest, or None if there is none or it is older than `MAX_AGE`."""
        entry = self._entries.get(digest)
        return None if entry is None or entry.ends_at <= self._now() else entry.record

    def put(self, digest: bytes, record: Cacheable, *, generation: int, loaded_at: float) -> bool:
        """Store a record whose query began in this generation, at this time by the cache's clock.

        Return False, and store nothing, if a change became known since or the cache is switched off.
        """
        with self._lock:
            if self.generation != generation or settings.KEYPORTAL_CACHE_ENTRIES < 1:
                return False
            self._entries.pop(digest, None)  # an expired entry moves to the end, as the newest
            if len(self._entries) >= settings.KEYPORTAL_CACHE_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[digest] = _Entry(record, record.tags, loaded_at + MAX_AGE)
            return True

    def get_or_load(self, generation: int | None, digest: bytes, load: Callable[[], Record | None]) -> Record | None:
        """Return what `load` would return now: the cached record if it is current, otherwise the answer of `load`.

        `generation` is the one that `credentials.verified_cache.freshness` has just returned, or None if the cache may
        not be trusted.
        """
        known: Record | None = None if generation is None else self.get(digest)
        with self._counting:
            self.hits += known is not None
            self.misses += known is None
        if known is not None:
            return known
        if generation is None:
            return load()
        loaded_at = self._now()
        record = load()
        if record is not None and not record.is_terminal:
            self.put(digest, record, generation=generation, loaded_at=loaded_at)
        return record

    def count_hit(self) -> None:
        """Count a hit: a record that `get` returned was used."""
        with self._counting:
            self.hits += 1

    def clear(self) -> None:
        """Drop every entry: something changed, and it is not known what."""
        with self._lock:
            self.generation += 1
            self._entries = {}

    def drop(self, tags: Collection[str]) -> None:
        """Drop the entries that these tags name."""
        with self._lock:
            self.generation += 1
            self._entries = {digest: entry for digest, entry in self._entries.items() if not _has_any(entry.tags, tags)}


def _has_any(tags: Iterable[str], changed: Collection[str]) -> bool:
    return any(tag in changed for tag in tags)
