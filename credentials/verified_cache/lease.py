"""The lease on PostgreSQL: until when the verified cache may be trusted, because every change would be known.

The listener renews it with each heartbeat. It is revoked when notifications may be lost, when the listener connects to
another database, and when connections of this process lead to different ones. This module knows neither the listener
nor the threads that use the cache.
"""

import logging
import threading
from typing import Any, Final

from credentials.verified_cache import clock
from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.change_log import ChangeLog
from credentials.verified_cache.database_identity import DatabaseIdentity, ListenerDatabase, leads_to
from integrity.key_check import confirm_rings_once

logger = logging.getLogger(__name__)

SECONDS: Final = 2.0
DISAGREE: Final = "connections to the database lead to different servers, databases or tables"


class Lease:
    """What this process knows of the listener's database, and until when it knows every change there. Thread-safe."""

    def __init__(self, cache: VerifiedCache) -> None:
        self.cache = cache
        """Emptied when the lease is revoked."""
        self.log = ChangeLog()
        """The changes that the listener has received. It holds as well while there is no lease."""
        self.until = 0.0
        """In seconds of `credentials.verified_cache.clock`."""
        self.fault: str | None = None
        """Why changes can't be detected, as a message for operators; empty if they can, None before the first check."""
        self.disagreement = ""
        """Why connections of this process lead to different databases, as a message for the operator; else empty."""
        self.database = ListenerDatabase(0, None)
        """The database that the listener's connection leads to."""
        self._trusted_since = 0.0
        self._lock = threading.RLock()

    @property
    def is_held(self) -> bool:
        """Whether every change so far is known."""
        return clock.now() < self.until

    def renew(self, *, since: float) -> None:
        """Extend the lease: everything committed up to `since` has arrived.

        A heartbeat sent before the lease was last revoked does not count: the notification of the change that ended it
        may still be on its way.
        """
        with self._lock:
            if since > self._trusted_since and not self.disagreement:
                self.until = since + SECONDS

    def revoke(self) -> None:
        """End the lease and empty the cache: notifications may be lost from now on."""
        with self._lock:
            self._trusted_since = clock.now()
            self.until = 0.0
        self.cache.clear()

    @property
    def known_up_to(self) -> float | None:
        """The moment up to which every change is known, by `credentials.verified_cache.clock`; None without a lease."""
        until = self.until
        return until - SECONDS if clock.now() < until else None

    def switch_database(self, identity: DatabaseIdentity | None = None, *, disagreement: str = "") -> None:
        """Reset all that is known about the database, also that the key rings fit it: it may be another one now.

        On PostgreSQL every thread then reconnects, and compares where its connection leads if an identity is known.
        """
        with self._lock:
            self.database = ListenerDatabase(self.database.number + 1, identity)
            self.disagreement = disagreement
            confirm_rings_once.cache_clear()
            self.revoke()

    def on_listener_stopped(self) -> None:
        """Revoke the lease until the listener is back. Without a listener, no connection can disagree with it."""
        with self._lock:
            self.database = ListenerDatabase(self.database.number, None)
        self.revoke()

    def compare(self, raw: Any, database: ListenerDatabase) -> None:
        """Check that psycopg's own connection leads to the database that was the listener's at that time.

        If it does not, the cache is no longer trusted and every thread reconnects. Raises `psycopg.Error`.
        """
        if leads_to(raw, database.identity):
            return
        with self._lock:
            if self.database is database:  # else the listener has another one now, and this may agree with that
                logger.warning("%s: every request queries the database", DISAGREE)
                self.switch_database(disagreement=DISAGREE)
