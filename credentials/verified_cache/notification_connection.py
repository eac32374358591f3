"""A connection that receives notifications while a query is running.

psycopg's `execute` returns with the result, however long that takes on a busy machine, and the caller receives no
notification meanwhile. Here one wait covers both, by libpq's asynchronous calls in the order that its documentation
gives (PostgreSQL, “Asynchronous Command Processing” and “Asynchronous Notification”).
"""

import math
import select
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult


class WaitResult(NamedTuple):
    """The result of one wait."""

    result: PGresult | None
    """The result of the running query. A notification sent after the query never comes before its result."""
    notifications: list[psycopg.Notify]


class NotificationConnection:
    """A wrapper around a connection that receives notifications while it runs one query at a time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._pgconn = connection.pgconn
        self._readable, self._ready = select.poll(), select.poll()  # `select` fails for descriptors above 1023
        self._readable.register(self._pgconn.socket, select.POLLIN)
        self._ready.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)
        self._notifications: list[psycopg.Notify] = []
        self._result: PGresult | None = None
        self.is_query_running = False
        # Notifications that psycopg receives while another query runs over this connection.
        connection.add_notify_handler(self._notifications.append)

    def send_query(self, query: str, *parameters: str) -> None:
        """Send a query with parameters `$1`, `$2` …. Raises `psycopg.OperationalError` if the connection is broken."""
        self._pgconn.send_query_params(query.encode(), [parameter.encode() for parameter in parameters])
        self.is_query_running = True
        while self._pgconn.flush():
            self._ready.poll()
            self._pgconn.consume_input()  # the server may be waiting for its output to be read

    def receive(self, *, timeout: float) -> WaitResult:
        """Wait at most so many seconds; return what came. Raises `psycopg.OperationalError` if the connection broke."""
        if self._notifications and self._result is None:
            timeout = 0  # they arrived during a query of psycopg's
        if self._readable.poll(math.ceil(timeout * 1000)):
            self._pgconn.consume_input()
        result = self._completed_result()
        while notification := self._pgconn.notifies():
            channel, payload = (raw.decode(errors="replace") for raw in (notification.relname, notification.extra))
            self._notifications.append(psycopg.Notify(channel, payload, notification.be_pid))
        if self._result is not None:  # not complete: later notifications come after the result
            return WaitResult(None, [])
        notifications = self._notifications.copy()
        self._notifications.clear()
        return WaitResult(result, notifications)

    def _completed_result(self) -> PGresult | None:
        """Return the result once it is complete, which libpq signals by an empty result; None until then."""
        while self.is_query_running and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                self.is_query_running = False
                completed, self._result = self._result, None
                return completed
            self._result = result
        return None


def read_row(result: PGresult) -> list[str | None]:
    """Return the single row of a result as text. Raises psycopg's error for the SQLSTATE if the query failed."""
    if result.status != ExecStatus.TUPLES_OK:
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        try:
            kind = psycopg.errors.lookup(state)
        except KeyError:  # of a later PostgreSQL, or of a custom function
            kind = psycopg.errors.get_base_exception(state)
        raise kind("the query failed")
    values = [result.get_value(0, column) for column in range(result.nfields)]
    return [None if value is None else value.decode() for value in values]
