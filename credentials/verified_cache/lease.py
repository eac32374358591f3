"""The lease on PostgreSQL: until when the verified cache may be trusted, because every change would have been heard.

The listener renews it with each heartbeat. It is revoked when changes may go unheard, when the listener meets another
database, and when connections of this process lead to different ones. This module knows neither the listener nor the
threads that ask.
"""

import logging
import threading
from typing import Any, Final

from credentials.verified_cache import clock
from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.database_identity import DatabaseIdentity, HeardDatabase, leads_to
from integrity.key_check import confirm_rings_once

logger = logging.getLogger(__name__)

SECONDS: Final = 2.0
DISAGREE: Final = "connections to the database lead to different servers, databases or tables"


class Lease:
    """What this process knows of the database that it hears, and until when that is everything. Thread-safe."""

    def __init__(self, cache: VerifiedCache) -> None:
        self.cache = cache
        """Emptied when the lease is revoked."""
        self.until = 0.0
        """In seconds of `credentials.verified_cache.clock`."""
        self.fault: str | None = None
        """Why changes can't be heard, as a message for the operator; empty if they can, None before the first look."""
        self.disagreement = ""
        """Why connections of this process lead to different databases, as a message for the operator; else empty."""
        self.heard = HeardDatabase(0, None)
        """The database that the listener's connection leads to."""
        self._trusted_since = 0.0
        self._lock = threading.RLock()

    @property
    def is_held(self) -> bool:
        """Whether every change so far has been heard."""
        return clock.now() < self.until

    def renew(self, *, since: float) -> None:
        """Extend the lease: everything committed up to `since` has been heard.

        A heartbeat sent before the lease was last revoked does not count: the change that ended it may still be
        unheard.
        """
        with self._lock:
            if since > self._trusted_since and not self.disagreement:
                self.until = since + SECONDS

    def revoke(self) -> None:
        """End the lease and empty the cache: changes may go unheard from now on."""
        with self._lock:
            self._trusted_since = clock.now()
            self.until = 0.0
        self.cache.clear()

    def meet_another_database(self, identity: DatabaseIdentity | None = None, *, disagreement: str = "") -> None:
        """Forget all that is known about the database, also that the key rings fit it: it may be another one now.

        On PostgreSQL every thread then reconnects, and compares where its connection leads if an identity is known.
        """
        with self._lock:
            self.heard = HeardDatabase(self.heard.number + 1, identity)
            self.disagreement = disagreement
            confirm_rings_once.cache_clear()
            self.revoke()

    def hear_nothing(self) -> None:
        """Revoke the lease until the listener is back. Without a listener, no connection can disagree with it."""
        with self._lock:
            self.heard = HeardDatabase(self.heard.number, None)
        self.revoke()

    def compare(self, raw: Any, heard: HeardDatabase) -> None:
        """Check that psycopg's own connection leads to the database that the listener heard at that time.

        If it does not, the cache is no longer trusted and every thread reconnects. Raises `psycopg.Error`.
        """
        if leads_to(raw, heard.identity):
            return
        with self._lock:
            if self.heard is heard:  # else the listener met another one meanwhile, and this may agree with that
                logger.warning("%s: every request asks the database", DISAGREE)
                self.meet_another_database(disagreement=DISAGREE)
