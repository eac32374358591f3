"""Say each kind of thing at most once in a while: a log that repeats itself hides what else is in it."""

import threading
import time
from typing import Final

EVERY: Final = 60.0
"""Seconds between two lines, or two tracebacks, of the same kind."""
MAX_KINDS: Final = 1000
"""A bound on what is remembered. Kinds are classes of errors and reasons in words, of which there are few."""


def now() -> float:
    """Return the seconds of the monotonic clock."""
    return time.monotonic()


class Quiet:
    """Whether something of a kind is to be said again. Thread-safe."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._said_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_due(self, kind: str) -> bool:
        """Return whether this kind has not been said for a while; if so, it counts as said now."""
        at = now()
        with self._lock:
            said_at = self._said_at.get(kind)
            if said_at is not None and at - said_at < self._every:
                return False
            if len(self._said_at) >= MAX_KINDS:
                self._said_at.clear()
            self._said_at[kind] = at
            return True
