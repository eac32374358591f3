"""A connection that receives notifications while a query is running.

psycopg's `execute` returns with the answer, however long that takes on a busy machine, and the caller receives no
notification meanwhile. Here one wait covers both, by libpq's asynchronous calls in the order that its documentation
gives (PostgreSQL, “Asynchronous Command Processing” and “Asynchronous Notification”).
"""

import math
import select
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult


class Received(NamedTuple):
    """The result of one wait."""

    answer: PGresult | None
    """The answer to the running query. A notification sent after the query never comes before its answer."""
    notifications: list[psycopg.Notify]


class NotificationConnection:
    """A wrapper around a connection that receives notifications while it runs one query at a time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._line = connection.pgconn
        self._readable, self._ready = select.poll(), select.poll()  # `select` fails for descriptors above 1023
        self._readable.register(self._line.socket, select.POLLIN)
        self._ready.register(self._line.socket, select.POLLIN | select.POLLOUT)
        self._notifications: list[psycopg.Notify] = []
        self._answer: PGresult | None = None
        self.is_asking = False
        # Notifications that psycopg receives while another query runs over this connection.
        connection.add_notify_handler(self._notifications.append)

    def ask(self, question: str, *parameters: str) -> None:
        """Send a query with parameters `$1`, `$2` …. Raises `psycopg.OperationalError` if the connection is broken."""
        self._line.send_query_params(question.encode(), [parameter.encode() for parameter in parameters])
        self.is_asking = True
        while self._line.flush():
            self._ready.poll()
            self._line.consume_input()  # the server may be waiting for its output to be read

    def hear(self, *, timeout: float) -> Received:
        """Wait at most so many seconds; return what came. Raises `psycopg.OperationalError` if the connection broke."""
        if self._notifications and self._answer is None:
            timeout = 0  # they arrived during a query of psycopg's
        if self._readable.poll(math.ceil(timeout * 1000)):
            self._line.consume_input()
        answer = self._take_answer()
        while notification := self._line.notifies():
            channel, payload = (raw.decode(errors="replace") for raw in (notification.relname, notification.extra))
            self._notifications.append(psycopg.Notify(channel, payload, notification.be_pid))
        if self._answer is not None:  # not complete: later notifications come after the answer
            return Received(None, [])
        notifications = self._notifications.copy()
        self._notifications.clear()
        return Received(answer, notifications)

    def _take_answer(self) -> PGresult | None:
        """Return the answer once it is complete, which libpq signals by an empty result; None until then."""
        while self.is_asking and not self._line.is_busy():
            result = self._line.get_result()
            if result is None:
                self.is_asking = False
                answer, self._answer = self._answer, None
                return answer
            self._answer = result
        return None


def row_of(answer: PGresult) -> list[str | None]:
    """Return the single row of an answer as text. Raises psycopg's error for the SQLSTATE if the query failed."""
    if answer.status != ExecStatus.TUPLES_OK:
        state = (answer.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        try:
            kind = psycopg.errors.lookup(state)
        except KeyError:  # of a later PostgreSQL, or of a custom function
            kind = psycopg.errors.get_base_exception(state)
        raise kind("the question was refused")
    values = [answer.get_value(0, column) for column in range(answer.nfields)]
    return [None if value is None else value.decode() for value in values]
