"""Query timeouts: a query to PostgreSQL that gets no answer is abandoned, and verdicts pause for a moment.

PostgreSQL's statement_timeout ends a query that takes too long. Nothing ends one whose answer never comes because the
server hangs or the network drops packets. Then every thread would wait, and every gateway with it.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

PATIENCE: Final = 1.5  # seconds for the answer to a verdict's query, and to Django's health check
LONG_PATIENCE: Final = 6.0  # seconds for every other query: a little more than the settings' statement_timeout
REST: Final = 1.0  # seconds after a timeout in which no verdict queries; then one tries, and the others go on waiting
PROBE: Final = 2.5  # seconds for that one try: as long as making a connection may take


class SilentError(OperationalError):
    """The database took a query and did not answer in time. A retry would only wait again."""


class Patience(threading.local):
    """The query timeout of this thread, and the circuit breaker of the process."""

    _rests_until = 0.0
    """When the next verdict may query; 0 while the database answers. For the whole process, so set on the class."""
    _lock = threading.Lock()

    hurries = False
    """Whether this thread is querying for a verdict."""

    @contextlib.contextmanager
    def of_a_verdict(self) -> Iterator[None]:
        """Limit the queries inside the block to `PATIENCE` seconds."""
        self.hurries = True
        try:
            yield
        finally:
            self.hurries = False

    def ask(self) -> None:
        """Raise `django.db.OperationalError` if a query has just timed out; otherwise return."""
        if not Patience._rests_until:
            return
        with self._lock:
            now = time.monotonic()
            if now < Patience._rests_until:
                raise OperationalError("the database did not answer a moment ago")
            Patience._rests_until = now + PROBE

    def answered(self) -> None:
        """Note that the database answers again."""
        if Patience._rests_until:
            Patience._rests_until = 0.0

    def rest(self) -> None:
        """Let no verdict query for `REST` seconds, because the next query would only wait as well."""
        Patience._rests_until = time.monotonic() + REST


patience = Patience()


def limit_waiting() -> None:
    """Put a timeout on every query through Django to PostgreSQL. For server processes, not for commands."""
    connection_created.connect(_limit, dispatch_uid="keyportal-patience")
    for connection in connections.all(initialized_only=True):
        _limit(connection=connection)


def _limit(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Put a timeout on a connection's `wait`, through which queries, commits and health checks all go."""
    raw = connection.connection
    if not isinstance(raw, psycopg.Connection):
        return
    wait = raw.wait

    def limited(generator: Any, *arguments: Any, **options: Any) -> Any:
        is_health_check = connection.health_check_enabled and not connection.health_check_done  # type: ignore[attr-defined]
        limit = PATIENCE if patience.hurries or is_health_check else LONG_PATIENCE
        try:
            answer = wait(generator, *arguments, **options | {"timeout": limit})
        except psycopg.errors._WaitTimeout as error:
            raw.close()  # its next answer could belong to this query
            patience.rest()
            raise SilentError("the database did not answer in time") from error
        patience.answered()
        return answer

    raw.wait = limited  # type: ignore[method-assign, assignment]
