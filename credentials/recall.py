"""How a verdict comes by a record: from memory while that is current, else by asking the database."""

from collections.abc import Callable
from typing import Protocol

from credentials.cache import Record
from credentials.freshness import freshness


class WouldBlockError(Exception):
    """Whoever wants to know this has to ask and to wait: not the event loop."""


class Recall(Protocol):
    """How a record is come by: `recall` or `remembered`."""

    def __call__(self, key: bytes, ask: Callable[[], Record | None]) -> Record | None:
        """Give what `ask` would give now about the credential with this digest."""


def recall(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Give what `ask` would give now about the credential with this digest: from memory if that is current."""
    generation = freshness.current()
    freshness.confirm_rings()
    return freshness.cache.recalled(generation, key, ask)


def remembered(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Give the same from memory alone. Raises `WouldBlockError` if it is not there, or may not be current."""
    if not freshness.glance():
        raise WouldBlockError
    return at_hand(key, ask)


def at_hand(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Give what `remembered` would, for a question in which that has just given another record. Raises the same.

    A change that is heard since then takes the record away.
    """
    record: Record | None = freshness.cache.get(key)
    if record is None:
        raise WouldBlockError
    freshness.cache.count_hit()
    return record
