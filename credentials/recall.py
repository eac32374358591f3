"""Get the record for a verdict: from the verified cache while that is current, otherwise from the database."""

from collections.abc import Callable
from typing import Protocol

from credentials.cache import Record
from credentials.freshness import freshness


class WouldBlockError(Exception):
    """The answer needs a query, which would block: not for the event loop."""


class Recall(Protocol):
    """A way to get a record: `recall`, `remembered` or `at_hand`."""

    def __call__(self, key: bytes, ask: Callable[[], Record | None]) -> Record | None:
        """Return the record that `ask` would return now for the credential with this digest."""


def recall(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Return the record that `ask` would return now for this digest, from the cache if that is current."""
    generation = freshness.current()
    freshness.confirm_rings()
    return freshness.cache.recalled(generation, key, ask)


def remembered(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Return the same from the cache alone. Raises `WouldBlockError` if it is not there or may not be current."""
    if not freshness.glance():
        raise WouldBlockError
    return at_hand(key, ask)


def at_hand(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Return the same, within a request for which `remembered` has just returned another record.

    Freshness is not checked again: a change heard since then has dropped the record. Raises `WouldBlockError` as well.
    """
    record: Record | None = freshness.cache.get(key)
    if record is None:
        raise WouldBlockError
    freshness.cache.count_hit()
    return record
