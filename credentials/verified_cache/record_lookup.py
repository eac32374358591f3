"""Get the record for a verdict: from the verified cache while that is current, otherwise from the database."""

from collections.abc import Callable
from typing import Protocol

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.cache import Record
from credentials.verified_cache.freshness import freshness


class Lookup(Protocol):
    """A way to get a record: `get_or_load`, `get_cached` or `get_cached_unchecked`."""

    def __call__(self, key: bytes, load: Callable[[], Record | None]) -> Record | None:
        """Return the record that `load` would return now for the credential with this digest."""


def get_or_load(key: bytes, load: Callable[[], Record | None]) -> Record | None:
    """Return the record that `load` would return now for this digest, from the cache if that is current."""
    generation = freshness().current()
    freshness().confirm_rings()
    return freshness().cache.get_or_load(generation, key, load)


def get_cached(key: bytes, load: Callable[[], Record | None]) -> Record | None:
    """Return the same from the cache alone. Raises `WouldBlockError` if it is not there or may not be current."""
    if not freshness().glance():
        raise WouldBlockError
    return get_cached_unchecked(key, load)


def get_cached_unchecked(key: bytes, load: Callable[[], Record | None]) -> Record | None:
    """Return the same, within a request for which `get_cached` has just returned another record.

    Freshness is not checked again: a change heard since then has dropped the record. Raises `WouldBlockError` as well.
    """
    record: Record | None = freshness().cache.get(key)
    if record is None:
        raise WouldBlockError
    freshness().cache.count_hit()
    return record
