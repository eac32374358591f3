"""No verdict waits for ever: a database that does not answer is given up, and then left alone for a moment.

PostgreSQL's statement_timeout ends a question that takes too long. Nothing ends one whose answer never comes, because
the server hangs or something on the way swallows what is sent: then every thread would wait, and every gateway.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from django.db import OperationalError

PATIENCE: Final = 1.5  # seconds for an answer
REST: Final = 1.0  # seconds in which nobody asks after that; then one does, and the others go on resting
PROBE: Final = 2.5  # seconds that the one has: as long as a connection may take to be made
PACE: Final = 0.1  # seconds between two looks at those who wait


class Patience:
    """Ends the waiting of a process's threads at connections that are silent for too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[float, psycopg.Connection[Any]]] = {}
        self._rests_until = 0.0  # nobody rests
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limited(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Wait for an answer over this connection, not for ever: it is broken off when it takes too long."""
        mark = object()
        with self._lock:
            self._waiting[mark] = (time.monotonic() + PATIENCE, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="keyportal-patience", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[mark]

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
                for until, connection in self._waiting.values():
                    if now > until:
                        self.rest()
                        break_off(connection)


patience = Patience()
os.register_at_fork(after_in_child=patience.__init__)  # type: ignore[misc]  # threads don't come along


def break_off(connection: psycopg.Connection[Any]) -> None:
    """Break a connection at whose end another thread waits: that thread finds it closed by the server."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
