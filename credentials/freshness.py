"""Is the verified cache current? It may be consulted only while that is known.

SQLite: `PRAGMA data_version` of the thread's own connection changes with every commit of any other connection, in this
process or elsewhere, and `total_changes` with every change of its own. If either differs from what the thread saw last,
the cache is emptied before the next answer. So there is no stale answer at all.

So that is asked of the file that the settings name: one that was put in its place is opened before the next answer
(`credentials.database_file`).

PostgreSQL: triggers notify of every change that a verdict depends on, whoever makes it (`credentials.triggers`). A
thread of this process listens (`credentials.listener`) and holds a lease that its heartbeats renew, as long as the
triggers are in place. Without a lease nobody consults the cache: every request asks the database. What it hears counts
for its own database and tables only: each connection of this process is compared with the listener's when it is made
(`credentials.place`), and every thread makes a new one when the listener meets others.
"""

import logging
import os
import threading
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from accounts.canaries import confirm_rings, rings_confirmed
from credentials import clock
from credentials.cache import VerifiedCache
from credentials.database_file import DatabaseFile
from credentials.listener import Listener
from credentials.place import Met, Place, leads_to

logger = logging.getLogger(__name__)

LEASE: Final = 2.0  # seconds
DISAGREE: Final = "connections to the database lead to different servers, databases or tables"


class _Thread(threading.local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        # Django gives a thread the same one for its life; looking it up takes longer than all else here.
        self.connection: BaseDatabaseWrapper = connections[DEFAULT_DB_ALIAS]
        self.seen: tuple[object, int, int] | None = None
        """SQLite's own connection and its two counters, as they were last."""
        self.number = 0
        """PostgreSQL: the number of the database that this thread's connection was compared with when it was made."""


class Freshness:
    """What this process knows about the currency of its cache."""

    def __init__(self) -> None:
        self.cache = VerifiedCache()
        self.leased_until = 0.0
        self.fault: str | None = None
        """Why changes can't be heard, in words for an operator; empty if they can, None if nobody has looked."""
        self.database = 0
        """Raised when the database may be another one than before: what is known of it is known no longer."""
        self.disagreement = ""
        """Why the connections of this process do not all lead to one place, in words for an operator."""
        self.met = Met(0, None)
        """Where the listener's connection leads to."""
        self._fits: object = None
        """Which database the key rings are known to fit."""
        self._trusted_since = 0.0
        self._leasing = threading.RLock()
        self._thread = _Thread()
        self._file = DatabaseFile(changed=self.cache.clear, replaced=self.meet_another_database)
        self._listener: Listener | None = None
        self._starting = threading.Lock()

    @property
    def doubt(self) -> str:
        """Why memory is not trusted though nothing is wrong with the triggers, in words for an operator."""
        return self.disagreement or self._file.fault

    def current(self) -> int | None:
        """Give the cache's generation if it is known to be current, else None. Asks no table.

        Raises `django.db.Error` if SQLite's file can't be read.
        """
        thread = self._thread
        connection = thread.connection
        if connection.in_atomic_block:
            return None  # what this transaction has changed, others don't see yet
        if connection.vendor == "sqlite":
            return self._sqlite(connection)
        generation = self.cache.generation  # before the lease: whoever ends that raises this next
        if clock.now() < self.leased_until and thread.number == self.database:
            return generation
        self._part_with_others()
        self._hurry()
        return None

    def glance(self) -> bool:
        """Return whether cache and rings are known to be right, asking nobody; if not, a thread asks `current`."""
        if self._fits != (self._file.version, self.database):
            return False
        if self._thread.connection.vendor == "sqlite":
            return self._file.is_unchanged()
        return clock.now() < self.leased_until

    def now(self) -> float:
        """Give seconds from some beginning, forwards only."""
        return clock.now()

    def renew(self, *, since: float) -> None:
        """Extend the lease: everything that was committed up to this moment has been heard.

        Not for a heartbeat that was sent before the lease was ended: what ended it may be unheard still.
        """
        with self._leasing:
            if since > self._trusted_since and not self.disagreement:
                self.leased_until = since + LEASE

    def lose(self) -> None:
        """End the lease: changes may go unheard from now on."""
        with self._leasing:
            self._trusted_since = clock.now()
            self.leased_until = 0.0
        self.cache.clear()

    def meet_another_database(self, place: Place | None = None, *, disagreement: str = "") -> None:
        """Forget what is known of the database, that the key rings fit it included: this may be another one.

        On PostgreSQL every thread makes a new connection, and compares where it leads if a place is known.
        """
        with self._leasing:
            self.met = Met(self.database + 1, place)
            self.disagreement = disagreement
            self.database += 1
            rings_confirmed.cache_clear()
            self.lose()

    def hear_nothing(self) -> None:
        """End the lease until somebody listens again; with nobody no connection can disagree."""
        with self._leasing:
            self.met = Met(self.database, None)
        self.lose()

    def compare(self, raw: Any, met: Met) -> None:
        """See whether psycopg's own connection leads to what was met; if not, nobody trusts memory, nor goes on.

        Raises `psycopg.Error`.
        """
        if leads_to(raw, met.place):
            return
        with self._leasing:
            if self.met is met:  # else another one was met meanwhile: compared with that it may agree
                logger.warning("%s: every request asks the database", DISAGREE)
                self.meet_another_database(disagreement=DISAGREE)

    def confirm_rings(self) -> None:
        """Return if the key rings fit the database that this thread asks: wrong ones would find no key in it.

        Raises `accounts.canaries.RingMisfitError`, or `django.db.Error` when the database can't be asked.
        """
        if (self._file.opened, self.database) != self._fits:
            self.follow()  # this thread may have the database open from before
            if (asks := (self._file.opened, self.database)) != self._fits:
                confirm_rings()
                self._fits = asks

    def settle(self) -> None:
        """Wait until this process has heard of what this thread has just committed; a moment, or not at all.

        The other processes hear at the same time. Whoever gets the answer to a revocation finds it in force: if it is
        not heard in that moment, this process asks the database until it has caught up.
        """
        if self._listener is not None and clock.now() < self.leased_until and not self._listener.settle():
            self.lose()

    def follow(self) -> None:
        """See to it that this thread has the database open that the settings name, and not one from before.

        For the beginning of whatever is no verdict; a verdict looks by itself. Raises `django.db.OperationalError` if
        there is no such file.
        """
        connection = self._thread.connection
        if connection.in_atomic_block:
            return
        if connection.vendor == "sqlite":
            self._file.follow(connection, at_once=True)
        else:
            self._part_with_others()

    def _part_with_others(self) -> None:
        """Close this thread's connection if it was made for another database than the one that was met last.

        A new one plans its questions anew: prepared ones may go on reading the tables of before.
        """
        thread, number = self._thread, self.database
        if thread.number != number:
            thread.connection.close()
            thread.number = number

    def _number(self, *, connection: BaseDatabaseWrapper, **signal: Any) -> None:
        """Compare a connection that this thread has just made."""
        if connection.alias != DEFAULT_DB_ALIAS or connection.vendor != "postgresql":
            return
        met = self.met
        try:
            with connection.wrap_database_errors:
                self.compare(connection.connection, met)
            self._thread.number = met.number  # by now that may be over: then this thread makes another one
        except BaseException:
            connection.close()  # Django would take it for one that is made
            raise

    def _sqlite(self, connection: BaseDatabaseWrapper) -> int | None:
        self._file.follow(connection)
        if self._file.fault:
            return None
        index = self._file.index
        header = index.header() if index else b""  # before SQLite is asked: whoever commits between is noticed later
        raw = connection.connection
        with connection.wrap_database_errors:
            seen = (raw, raw.execute("PRAGMA data_version").fetchone()[0], raw.total_changes)
        # A connection that is new has not seen what others kept: it counts as a change too.
        if self._thread.seen != seen:
            self.cache.clear()
            self._thread.seen = seen
        if index:
            index.seen = header
        return self.cache.generation

    def _hurry(self) -> None:
        """See to it that a lease comes: the first time by starting to listen."""
        if self._listener is not None:
            self._listener.nudge()
            return
        with self._starting:
            if self._listener is None:
                connection_created.connect(self._number)
                listener = Listener(self)
                listener.start()
                self._listener = listener


freshness = Freshness()


def _begin_anew() -> None:
    """Give a forked process a freshness of its own: threads and connections don't come along."""
    freshness.__init__()  # type: ignore[misc]  # the object is known by name elsewhere


os.register_at_fork(after_in_child=_begin_anew)
