"""Count the events that this process has recorded, by type, once their transaction has committed."""

import os
import threading
from collections import Counter
from functools import cache


class EventCounts:
    """The counts since the process began. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, verb: str, count: int = 1) -> None:
        """Count events."""
        with self._lock:
            self._counts[verb] += count

    def by_labels(self) -> dict[tuple[str, ...], int]:
        """Return the counts by type."""
        with self._lock:
            return {(verb,): count for verb, count in self._counts.items()}


@cache
def event_counts() -> EventCounts:
    """Return the counts of this process."""
    return EventCounts()


os.register_at_fork(after_in_child=event_counts.cache_clear)
