"""The thread that listens for changes in PostgreSQL, over one connection per process.

A heartbeat is a notification that the listener sends to itself. PostgreSQL delivers notifications in the order of their
commits, so when the heartbeat is back, everything committed before it was sent has arrived too. This is what the
lease guarantees, but only if every commit also sent its notification. So the statement that sends the heartbeat also
reads the change counter and the triggers' versions (`credentials.verified_cache.trigger_health`): if a number has not
arrived, the cache is emptied, and without the triggers there is no lease.
"""

import logging
import secrets
import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final, NamedTuple

import psycopg
from django.conf import settings
from django.db import connections
from psycopg.pq.abc import PGresult
from typing_extensions import override

from credentials.runtime.quiet import Quiet
from credentials.verified_cache import clock
from credentials.verified_cache.changes import AppliedChanges, Change, Position
from credentials.verified_cache.connections import UnsuitableError, abort, listen_parameters, refuse_pooler
from credentials.verified_cache.database_identity import digest_of, identity_of, leads_to
from credentials.verified_cache.lease import Lease
from credentials.verified_cache.notification_connection import NotificationConnection, read_row
from credentials.verified_cache.own_commits import OwnCommits
from credentials.verified_cache.probe import Probe
from credentials.verified_cache.trigger_health import HEARTBEAT_QUERY, DatabaseState, faults, summary
from credentials.verified_cache.triggers import CHANNEL
from credentials.verified_cache.verdict_tables import EVERYTHING

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY: Final = 0.5  # seconds
BACK_OFF: Final = (0.1, 0.2, 0.5, 1.0)  # seconds between attempts to connect; the last one again and again
CLEAR_FROM: Final = 100
"""From this many tags at once, emptying the cache is quicker than searching it for them."""
UNSUITABLE: Final = 60.0  # seconds until a connection that would lose notifications is tried again
SILENCE: Final = 4.0  # seconds without a heartbeat after which the connection is given up


class DisagreementError(Exception):
    """New connections lead to another database or other tables than the listener's."""


class Heartbeat(NamedTuple):
    """A heartbeat that was sent and is not back yet."""

    sent_at: float
    counter: Position | None
    """The change counter when it was sent; None if changes can't be detected reliably."""


class Listener(threading.Thread):
    """The thread that listens, renews the lease, drops what notifications name, and reconnects when necessary."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(name="keyportal-listener", daemon=True)
        self._lease = lease
        self._channel = f"{CHANNEL}_{secrets.token_hex(8)}"
        self._waiting = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._silent_since = clock.now()
        self._own_commits = OwnCommits(self._channel)
        self._heartbeats: dict[str, Heartbeat] = {}
        self._changes = AppliedChanges()
        self._versions: tuple[object, ...] = ()
        self._logged = ""
        self._quiet = Quiet()

    @override
    def run(self) -> None:
        attempt = 0
        while True:
            pause = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
            try:
                with closing(psycopg.connect(**listen_parameters(), autocommit=True)) as connection:
                    self._begin(connection)
                    attempt = 0
                    self._listen(connection)
            except (psycopg.Error, OSError) as error:
                if self._quiet.is_due(str(error)):
                    logger.warning("changes can't be detected: %s", error)  # the log has its reason
            except UnsuitableError as error:
                logger.warning("the cache is off, every request queries the database: %s", error)
                pause = UNSUITABLE
            except DisagreementError:
                pause = BACK_OFF[-1]
            except Exception:  # a thread that ended would never listen again
                logger.exception("the listener failed")
            finally:
                self._connection = None
                self._lease.on_listener_stopped()
            self._waiting.wait(pause)
            attempt += 1

    def abort_if_stale(self) -> None:
        """Abort the connection if it has been silent for too long: the listener may wait for ever on a dead connection.

        Called by a thread that finds the lease expired.
        """
        connection = self._connection
        if connection is None or clock.now() - self._silent_since < SILENCE:
            return
        self._silent_since = clock.now()
        abort(connection)

    def wait_until_applied(self) -> bool:
        """Wait until what this thread has committed is applied; return False if that takes too long."""
        return self._own_commits.wait_until_applied()

    def _begin(self, connection: psycopg.Connection[Any]) -> None:
        """Start to listen. Raises `UnsuitableError` if notifications would be lost on this connection."""
        # From here on `abort_if_stale` can abort the connection, if what is sent over it is swallowed.
        self._silent_since = clock.now()
        self._connection = connection
        connection.execute(f"LISTEN {CHANNEL}")
        connection.execute(f"LISTEN {self._channel}")
        refuse_pooler(connection)
        if settings.KEYPORTAL_LISTEN_URL:
            self._refuse_another_database(connection)
        # Earlier changes are not sent again. The first state differs from none, and so empties the cache.
        self._heartbeats, self._changes, self._versions = {}, AppliedChanges(), ()
        logger.info("listening for changes")
        self._silent_since = clock.now()

    def _refuse_another_database(self, connection: psycopg.Connection[Any]) -> None:
        """Raise `UnsuitableError` unless this connection and the portal's own lead to the same database and tables."""
        payload = secrets.token_hex(8)
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [self._channel, payload])
            identity = identity_of(cursor)
        connections["default"].close()
        if not any(notification.payload == payload for notification in connection.notifies(timeout=1.0)):
            raise UnsuitableError("KEYPORTAL_LISTEN_URL and DATABASE_URL lead to different databases")
        if not leads_to(connection, identity):
            raise UnsuitableError("KEYPORTAL_LISTEN_URL and DATABASE_URL lead to different tables")

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        """Send heartbeats and handle notifications until the connection breaks. Raises `psycopg.Error`.

        Raises `DisagreementError` when new connections lead elsewhere.
        """
        receiver, probe = NotificationConnection(connection), Probe(self._lease)
        payload, sent_at, is_as_before = "", 0.0, False
        while True:
            now = clock.now()
            due = sent_at + HEARTBEAT_EVERY if is_as_before else now
            if now >= due and not receiver.is_query_running:
                payload, sent_at = secrets.token_hex(8), now
                receiver.send_query(HEARTBEAT_QUERY, self._channel, payload)
            probe.begin_when_due()
            if is_as_before and self._lease.disagreement:
                raise DisagreementError  # before the first state it is about an earlier database
            received = receiver.receive(timeout=HEARTBEAT_EVERY if receiver.is_query_running else due - now)
            if received.result is not None:
                is_as_before = self._on_state(connection, received.result, payload, sent_at)
            self._on_notifications(_payloads(received.notifications, CHANNEL))
            # Heartbeats last: what came before them must have been dropped.
            for own in _payloads(received.notifications, self._channel):
                self._on_own_notification(own)

    def _on_state(self, connection: psycopg.Connection[Any], result: PGresult, payload: str, sent_at: float) -> bool:
        """Handle the state that a heartbeat read; return whether nothing has changed, so that the next one can wait."""
        try:
            state = DatabaseState.of_row(read_row(result))
        except psycopg.ProgrammingError as error:  # there is no counter, or it may not be read
            self._silent_since = clock.now()
            return self._is_as_before(connection, DatabaseState(None, (type(error).__name__,)))
        return self._on_read_state(connection, state, payload, sent_at)

    def _on_read_state(self, line: psycopg.Connection[Any], state: DatabaseState, payload: str, at: float) -> bool:
        is_as_before = self._is_as_before(line, state)
        if state.counter and not self._changes.goes_on(state.counter):
            self._forget(state.counter)
            self._heartbeats.clear()  # they read the counter before it went back
        self._heartbeats[payload] = Heartbeat(at, None if self._lease.fault else state.counter)
        return is_as_before

    def _is_as_before(self, connection: psycopg.Connection[Any], state: DatabaseState) -> bool:
        """Return whether database and triggers are the same as before; if not, clear all and check closely."""
        if state.versions == self._versions:
            return True
        identity = identity_of(connection.cursor())
        self._lease.switch_database(identity)
        self._lease.log.begin(digest_of(identity, state.versions), after=self._changes.last)
        self._versions = state.versions
        found = faults(connection.cursor())
        if not found and state.counter is None:
            found = ["the change counter can't be read"]
        self._set_fault(summary(found))
        return False

    def _set_fault(self, fault: str) -> None:
        """Set the fault that keeps changes from being detected; log it once, and once that it is over."""
        was, self._lease.fault = self._logged, fault
        self._logged = fault
        if fault and fault != was:
            logger.warning("changes can't be detected, every request queries the database: %s", fault)
        elif was and not fault:
            logger.info("changes can be detected again")

    def _on_notifications(self, payloads: Iterable[str]) -> None:
        """Drop the records that notifications name; empty the cache if one is missing or not from our triggers."""
        changes, is_complete = [], True
        for payload in payloads:
            change = Change.parse(payload)
            if change is None or not self._changes.on_notification(change.position):
                is_complete = False
            if change is not None:
                changes.append(change)
        tags = {change.tag for change in changes}
        if not is_complete:
            self._forget(self._changes.last)
            return
        if EVERYTHING in tags or len(tags) >= CLEAR_FROM:
            self._lease.cache.clear()
        elif tags:
            self._lease.cache.drop(tags)
        self._lease.log.append(changes)  # last: a record that is given out after it must not be older

    def _forget(self, position: Position | None) -> None:
        """Empty the cache and start the log over after this position: something may have changed unnoticed."""
        self._lease.cache.clear()
        self._lease.log.forget(after=position)

    def _on_own_notification(self, payload: str) -> None:
        """Handle a notification on the listener's own channel: a heartbeat, or that of a waiting thread."""
        self._own_commits.on_notification(payload)
        heartbeat = self._heartbeats.pop(payload, None)
        if heartbeat is None:  # of a waiting thread, from an earlier connection, or not sent by this process
            return
        self._silent_since = clock.now()
        if heartbeat.counter is not None:
            if not self._changes.reaches(heartbeat.counter):
                self._forget(heartbeat.counter)
            self._lease.log.confirm(heartbeat.counter, read_at=heartbeat.sent_at)
            self._lease.renew(since=heartbeat.sent_at)


def _payloads(notifications: Iterable[psycopg.Notify], channel: str) -> list[str]:
    return [notification.payload for notification in notifications if notification.channel == channel]
