"""Is the verified cache current? It may be consulted only while that is known.

SQLite: `PRAGMA data_version` of the thread's own connection changes with every commit of any other connection, in this
process or elsewhere, and `total_changes` with every change of its own. If either differs from what the thread saw last,
the cache is emptied before the next answer. So there is no stale answer at all.

PostgreSQL: triggers notify of every change that a verdict depends on, whoever makes it (`credentials.triggers`). A
thread of this process listens (`credentials.listener`) and holds a lease that its heartbeats renew. Without a lease
nobody consults the cache: every request asks the database.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from credentials.cache import Record, VerifiedCache
from credentials.listener import Listener

LEASE: Final = 2.0  # seconds
# Goes on while a machine sleeps, and does not follow the wall clock when somebody sets it.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class _Thread(threading.local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        # Django gives a thread the same one for its life; looking it up takes longer than all else here.
        self.connection: BaseDatabaseWrapper = connections[DEFAULT_DB_ALIAS]
        self.seen: tuple[object, int, int] | None = None
        """SQLite's own connection and its two counters, as they were last."""


class Freshness:
    """What this process knows about the currency of its cache."""

    def __init__(self) -> None:
        self.cache = VerifiedCache()
        self.leased_until = 0.0
        self._thread = _Thread()
        self._listener: Listener | None = None
        self._starting = threading.Lock()

    def current(self) -> int | None:
        """Give the cache's generation if it is known to be current, else None. Asks no table.

        Raises `django.db.Error` if SQLite's file can't be read.
        """
        connection = self._thread.connection
        if connection.in_atomic_block:
            return None  # what this transaction has changed, others don't see yet
        if connection.vendor == "sqlite":
            return self._sqlite(connection)
        if self.now() < self.leased_until:
            return self.cache.generation
        self._hurry()
        return None

    def now(self) -> float:
        """Give seconds from some beginning, forwards only."""
        return time.clock_gettime(_CLOCK)

    def renew(self, *, since: float) -> None:
        """Extend the lease: everything that was committed up to this moment has been heard."""
        self.leased_until = since + LEASE

    def lose(self) -> None:
        """End the lease: changes may go unheard from now on."""
        self.leased_until = 0.0
        self.cache.clear()

    def settle(self) -> None:
        """Wait until this process has heard of what this thread has just committed; a moment, or not at all.

        The other processes hear at the same time. Whoever gets the answer to a revocation finds it in force.
        """
        if self._listener is not None and self.now() < self.leased_until:
            self._listener.settle()

    def _sqlite(self, connection: BaseDatabaseWrapper) -> int:
        connection.ensure_connection()
        raw = connection.connection
        with connection.wrap_database_errors:
            seen = (raw, raw.execute("PRAGMA data_version").fetchone()[0], raw.total_changes)
        # A connection that is new has not seen what others kept: it counts as a change too.
        if self._thread.seen != seen:
            self.cache.clear()
            self._thread.seen = seen
        return self.cache.generation

    def _hurry(self) -> None:
        """See to it that a lease comes: the first time by starting to listen."""
        if self._listener is not None:
            self._listener.nudge()
            return
        with self._starting:
            if self._listener is None:
                listener = Listener(self)
                listener.start()
                self._listener = listener


freshness = Freshness()


def recall(key: bytes, ask: Callable[[], Record | None]) -> Record | None:
    """Give what `ask` would give now about the credential with this digest: from memory if that is current."""
    return freshness.cache.recalled(freshness.current(), key, ask)


def _begin_anew() -> None:
    """Give a forked process a freshness of its own: threads and connections don't come along."""
    freshness.__init__()  # type: ignore[misc]  # the object is known by name elsewhere


os.register_at_fork(after_in_child=_begin_anew)
