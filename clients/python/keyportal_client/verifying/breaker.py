"""A circuit breaker: while the portal does not answer, one question at a time finds out when it does again."""

import threading
from typing import Final

from keyportal_client.verifying.clock import Clock

FIRST_PAUSE: Final = 1.0
"""Seconds. Each failure in a row doubles it, up to what the failure says."""
_LONGEST: Final = 16
"""Failures in a row, from which on nothing is doubled."""


class Breaker:
    """Closed: all questions may be asked. Open: none, for a while. Half-open after that: one. Thread-safe."""

    def __init__(self, *, now: Clock) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open_until: float | None = None
        self._failures = 0
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether the last question failed."""
        return self._open_until is not None

    def wait(self) -> float:
        """Return for how many seconds not to ask; 0 for who may ask, and must say how that ended."""
        if self._open_until is None:
            return 0.0
        with self._lock:
            if self._open_until is None:
                return 0.0
            left = self._open_until - self._now()
            if left <= 0 and not self._is_probing:
                self._is_probing = True
                return 0.0
            return max(left, FIRST_PAUSE)

    def succeed(self) -> None:
        """Close: the portal has answered."""
        if self._open_until is not None or self._failures:
            with self._lock:
                self._open_until, self._failures, self._is_probing = None, 0, False

    def fail(self, pause: float) -> None:
        """Open for a pause, which is at most this one. Those who were on their way count as one."""
        with self._lock:
            now = self._now()
            if self._open_until is None or self._open_until <= now:
                length = min(pause, FIRST_PAUSE * 2 ** min(self._failures, _LONGEST))
                self._open_until, self._failures = now + length, self._failures + 1
            self._is_probing = False

    def give_up(self) -> None:
        """Let another one ask: this one has ended without finding out."""
        with self._lock:
            self._is_probing = False
