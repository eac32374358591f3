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
    record: Record | None = freshness.cache.get(key) if freshness.glance() else None
    if record is None:
        raise WouldBlockError
    freshness.cache.count_hit()
    return record
