"""Whether the verified cache is current, and the record of a credential: from the cache only while it is current.

SQLite: `PRAGMA data_version` of a thread's connection changes with every commit of any other connection, in this
process or elsewhere, and `total_changes` with every change of its own. If either differs from what the thread saw last,
the cache is emptied before the next answer. So no answer is ever stale. For this, the connection must lead to the file
at the configured path; a file that was put in its place is opened before the next answer (`database_file.py`).

PostgreSQL: triggers send a notification of every change that a verdict depends on, whatever makes it (`triggers.py`). A
thread of this process listens (`listener.py`) and renews a lease (`lease.py`) as long as the triggers are in place.
Without a lease the cache is not used: every request queries the database. The listener is notified of its own database
and tables only, so each connection of this process is compared with the listener's when it is made.
"""

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache import clock
from credentials.verified_cache.cache import Record, VerifiedCache
from credentials.verified_cache.database_file import DatabaseFile
from credentials.verified_cache.lease import Lease
from credentials.verified_cache.listener import Listener
from credentials.verified_cache.wal_index import HEADER, WalIndex
from integrity.key_check import confirm_rings


class _Thread(threading.local):
    """The state of one thread."""

    def __init__(self) -> None:
        # Django keeps one connection object for the life of a thread; looking it up takes longer than all else here.
        self.connection: BaseDatabaseWrapper = connections[DEFAULT_DB_ALIAS]
        self.seen: tuple[object, int, int] | None = None
        """SQLite's own connection and its two counters, as last seen."""
        self.number = 0
        """PostgreSQL: the number of the database that this thread's connection was compared with when made."""


class Freshness:
    """What this process knows about whether its cache is current."""

    def __init__(self) -> None:
        self.cache = VerifiedCache()
        self.lease = Lease(self.cache)
        self._confirmed_for: object = None
        """The database for which the key rings are known to be the right ones."""
        self._thread = _Thread()
        self._file = DatabaseFile(changed=self.cache.clear, replaced=self.lease.switch_database)
        self._listener: Listener | None = None
        self._starting = threading.Lock()

    @property
    def fault(self) -> str:
        """Why the cache is not trusted although the triggers work, as a message for the operator; empty if it is."""
        return self.lease.disagreement or self._file.fault

    @property
    def database_number(self) -> int:
        """A number that changes when the database may have been replaced, so that nothing known of it holds."""
        return self.lease.database.number

    @property
    def index(self) -> WalIndex | None:
        """SQLite: the index that shows commits without a query, if there is one."""
        return self._file.index

    def current(self) -> int | None:
        """Return the cache's generation if the cache is known to be current, otherwise None. Reads no table.

        Raises `django.db.Error` if SQLite's file can't be read.
        """
        thread = self._thread
        connection = thread.connection
        if connection.in_atomic_block:
            return None  # this transaction's changes are not visible to others yet
        if connection.vendor == "sqlite":
            return self._current_on_sqlite(connection)
        generation = self.cache.generation  # read before the lease: revoking the lease raises this next
        if clock.now() < self.lease.until and thread.number == self.lease.database.number:
            return generation
        self._close_outdated_connection()
        self._ensure_listening()
        return None

    def is_known_current(self) -> bool:
        """Return, without a query, whether cache and rings are known to be right; if not, a thread calls `current`."""
        if self._confirmed_for != (self._file.version, self.lease.database.number):
            return False
        if self._thread.connection.vendor == "sqlite":
            return self._file.is_unchanged()
        return clock.now() < self.lease.until

    def confirm_rings(self) -> None:
        """Confirm that the key rings fit this thread's database: with wrong rings no key would be found in it.

        Raises `integrity.key_check.RingMisfitError` if they don't, `django.db.Error` if the database can't be queried.
        """
        if (self._file.here.version, self.lease.database.number) != self._confirmed_for:
            self.open_current()  # this thread may still have the previous database open
            if (database := (self._file.here.version, self.lease.database.number)) != self._confirmed_for:
                confirm_rings()
                self._confirmed_for = database

    def wait_until_applied(self) -> None:
        """Wait, for a moment at most, until this process has applied what this thread has just committed.

        The other processes are notified at the same time. So a revocation is in force once the client has the response:
        if it is not applied in time, this process queries the database until it has caught up.
        """
        if self._listener is not None and self.lease.is_held and not self._listener.wait_until_applied():
            self.lease.revoke()

    def open_current(self) -> None:
        """Make sure that this thread has the configured database open, and not a previous one.

        Call it at the start of any work that is not a verdict; verdicts check by themselves. Raises
        `django.db.OperationalError` if there is no such file.
        """
        connection = self._thread.connection
        if connection.in_atomic_block:
            return
        if connection.vendor == "sqlite":
            self._file.open_current(connection, at_once=True)
        else:
            self._close_outdated_connection()

    def _close_outdated_connection(self) -> None:
        """Close this thread's connection if it was made before the listener's database last changed.

        A new connection prepares its statements again; old prepared ones could go on reading the previous tables.
        """
        thread, number = self._thread, self.lease.database.number
        if thread.number != number:
            thread.connection.close()
            thread.number = number

    def _on_connection_created(self, *, connection: BaseDatabaseWrapper, **signal: object) -> None:
        """Compare a connection that this thread has just made with the listener's. Raises `django.db.Error`."""
        if connection.alias != DEFAULT_DB_ALIAS or connection.vendor != "postgresql":
            return
        database = self.lease.database
        try:
            with connection.wrap_database_errors:
                self.lease.compare(connection.connection, database)
            self._thread.number = database.number  # may be outdated by now: then this thread reconnects
        except BaseException:
            connection.close()  # otherwise Django would go on using it
            raise

    def _current_on_sqlite(self, connection: BaseDatabaseWrapper) -> int | None:
        self._file.open_current(connection)
        if self._file.fault:
            return None
        index = self._file.index
        header = index.map[:HEADER] if index else b""  # read before the query: a commit in between is detected later
        raw = connection.connection
        with connection.wrap_database_errors:
            seen = (raw, raw.execute("PRAGMA data_version").fetchone()[0], raw.total_changes)
        # A new connection counts as a change: it can't tell what was committed since others filled the cache.
        if self._thread.seen != seen:
            self.cache.clear()
            self._thread.seen = seen
        if index:
            index.seen = header
        return self.cache.generation

    def _ensure_listening(self) -> None:
        """Make sure that a lease will come: start the listener, or abort its connection if that is silent."""
        if self._listener is not None:
            self._listener.abort_if_stale()
            return
        with self._starting:
            if self._listener is None:
                connection_created.connect(self._on_connection_created)
                listener = Listener(self.lease)
                listener.start()
                self._listener = listener


@cache
def freshness() -> Freshness:
    """Return what this process knows. A forked process starts over: it inherits neither threads nor connections."""
    return Freshness()


def _start_over() -> None:
    """Make it while there is one thread: of two made at once, each would have a listener of its own."""
    freshness.cache_clear()
    freshness()


os.register_at_fork(after_in_child=_start_over)
_start_over()


class Lookup(Protocol):
    """A way to get a record: `get_or_load`, `get_cached` or `get_cached_unchecked`."""

    def __call__(self, digest: bytes, load: Callable[[], Record | None]) -> Record | None:
        """Return the record that `load` would return now for the credential with this digest."""


def may_query(lookup: Lookup) -> bool:
    """Return whether a lookup queries the database for what the cache lacks. Those of the event loop don't."""
    return lookup is get_or_load


def get_or_load(digest: bytes, load: Callable[[], Record | None]) -> Record | None:
    """Return the record that `load` would return now for this digest, from the cache if that is current."""
    fresh = freshness()
    generation = fresh.current()
    fresh.confirm_rings()
    return fresh.cache.get_or_load(generation, digest, load)


def get_cached(digest: bytes, load: Callable[[], Record | None]) -> Record | None:
    """Return the same from the cache alone. Raises `WouldBlockError` if it is not there or may not be current."""
    fresh = freshness()
    if not fresh.is_known_current():
        raise WouldBlockError
    record: Record = _get(fresh.cache, digest)
    return record


def get_cached_unchecked(digest: bytes, load: Callable[[], Record | None]) -> Record | None:
    """Return the same, within a request for which `get_cached` has just returned another record.

    Freshness is not checked again: a change that became known since then has dropped the record. Raises
    `WouldBlockError` as well.
    """
    record: Record = _get(freshness().cache, digest)
    return record


def _get(cache: VerifiedCache, digest: bytes) -> Any:
    """Return the record in the cache. Raises `WouldBlockError` if it is not there."""
    record = cache.get(digest)
    if record is None:
        raise WouldBlockError
    cache.count_hit()
    return record
