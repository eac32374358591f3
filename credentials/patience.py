"""No verdict waits for ever: a database that does not answer is given up, and then left alone for a moment.

PostgreSQL's statement_timeout ends a question that takes too long. Nothing ends one whose answer never comes, because
the server hangs or something on the way swallows what is sent: then every thread would wait, and every gateway.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from django.db import DatabaseError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

PATIENCE: Final = 1.5  # seconds for the answer to a verdict's question
LONG_PATIENCE: Final = 6.0  # for every other one: a little more than the settings' statement_timeout
REST: Final = 1.0  # seconds in which nobody asks after that; then one does, and the others go on resting
PROBE: Final = 2.5  # seconds that the one has: as long as a connection may take to be made
PACE: Final = 0.1  # seconds between two looks at those who wait


class SilentError(OperationalError):
    """The database took a question and did not answer. Whoever asks again only waits again."""


@dataclass(eq=False)
class _Wait:
    """Somebody who waits for an answer."""

    until: float
    connection: psycopg.Connection[Any]
    is_over: bool = False


class Patience:
    """Ends the waiting of a process's threads at connections that are silent for too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[_Wait] = set()
        self._rests_until = 0.0  # nobody rests
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limited(self, connection: psycopg.Connection[Any], seconds: float = PATIENCE) -> Iterator[None]:
        """Wait for an answer over this connection, not for ever: it is broken off when it takes too long.

        Raises `SilentError` then.
        """
        wait = _Wait(time.monotonic() + seconds, connection)
        with self._lock:
            self._waiting.add(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="keyportal-patience", daemon=True)
                self._thread.start()
        try:
            yield
        except DatabaseError as error:
            if wait.is_over:
                raise SilentError("the database did not answer in time") from error
            raise
        finally:
            with self._lock:
                self._waiting.remove(wait)

    def ask(self) -> None:
        """Return if the database may be asked. Raises `django.db.OperationalError` if it was silent a moment ago."""
        if not self._rests_until:
            return
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                raise OperationalError("the database did not answer a moment ago")
            self._rests_until = now + PROBE

    def answered(self) -> None:
        """Note that the database answers."""
        if self._rests_until:
            self._rests_until = 0.0

    def rest(self) -> None:
        """Leave the database alone for a moment: whoever asked next would only wait as well."""
        self._rests_until = time.monotonic() + REST

    def _watch(self) -> None:
        while True:
            time.sleep(PACE)
            now = time.monotonic()
            with self._lock:  # nobody ends waiting meanwhile, and uses the connection for something else
                for wait in self._waiting:
                    if now > wait.until:
                        wait.is_over = True
                        self.rest()
                        break_off(wait.connection)


patience = Patience()
os.register_at_fork(after_in_child=patience.__init__)  # type: ignore[misc]  # threads don't come along


def limit_waiting() -> None:
    """See to it that no question of this process waits for ever, whoever asks it. For servers, not for commands."""
    connection_created.connect(_limit, dispatch_uid="keyportal-patience")
    for connection in connections.all(initialized_only=True):
        _limit(connection=connection)


def _limit(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "postgresql" and _limited not in connection.execute_wrappers:
        connection.execute_wrappers.append(_limited)


def _limited(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]) -> Any:
    raw = context["connection"].connection
    with patience.limited(raw, LONG_PATIENCE) if raw else contextlib.nullcontext():
        answer = execute(sql, params, many, context)
    patience.answered()
    return answer


def break_off(connection: psycopg.Connection[Any]) -> None:
    """Break a connection at whose end another thread waits: that thread finds it closed by the server."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
