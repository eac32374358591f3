"""A circuit breaker: a service that does not answer is left alone for a while, so that no call waits for it."""

import threading
import time
from collections.abc import Sequence


class CircuitBreaker:
    """Closed while the service answers; open after a failure; half-open once its cool-down is over.

    While it is half-open one caller tries, and the others are refused until that call has succeeded or failed. Safe
    for threads; one for each service and process.
    """

    def __init__(self, *, cool_downs: Sequence[float], probe: float) -> None:
        """Take the seconds of cool-down after each failure in a row (the last one repeats), and those of one try."""
        self._cool_downs = cool_downs
        self._probe = probe
        self._failures = 0
        self.retry_at = 0.0
        """When the next caller may try, in seconds of the monotonic clock; 0 while it is closed."""
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the service did not answer when it was last called."""
        return bool(self.retry_at)

    def allows(self) -> bool:
        """Return whether the caller may call the service now."""
        if not self.retry_at:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self.retry_at:
                return False
            self.retry_at = now + self._probe
            return True

    def on_success(self) -> None:
        """Close it: the service answers."""
        if self.retry_at:
            self.retry_at, self._failures = 0.0, 0

    def on_failure(self) -> None:
        """Open it: the service did not answer."""
        with self._lock:
            self.retry_at = time.monotonic() + self._cool_downs[min(self._failures, len(self._cool_downs) - 1)]
            self._failures += 1
