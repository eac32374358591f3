"""What the operators of a service read in its log: each fault once while it lasts, and once when it is over."""

import logging
import threading
from typing import Final

from keyportal_client.verifying.clock import Clock

logger = logging.getLogger("keyportal_client")

QUIET: Final = 5.0
"""Seconds without a fault after which it is over, so that one that comes and goes does not fill the log."""


class FaultLog:
    """The faults that last. Thread-safe."""

    def __init__(self, *, now: Clock) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    def note(self, fault: str) -> None:
        """Log a fault, which is a sentence that says what to do, unless it lasts already."""
        with self._lock:
            is_new = fault not in self._seen
            self._seen[fault] = self._now()
        if is_new:
            logger.error("keyportal: %s While this lasts, what only the portal can say is answered with 503.", fault)

    def succeed(self) -> None:
        """Note that the portal has answered as it should. Faults that were not seen for a while are over."""
        if not self._seen:
            return
        with self._lock:
            before = self._now() - QUIET
            over = [fault for fault, at in self._seen.items() if at <= before]
            for fault in over:
                del self._seen[fault]
        for fault in over:
            logger.warning("keyportal: all is well again. This was the matter: %s", fault)
