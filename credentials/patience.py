"""No question waits for ever: a database that does not answer is given up, and then left alone for a moment.

PostgreSQL's statement_timeout ends a question that takes too long. Nothing ends one whose answer never comes, because
the server hangs or something on the way swallows what is sent: then every thread would wait, and every gateway.
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

PATIENCE: Final = 1.5  # seconds for the answer to a verdict's question, and to Django's "are you there?"
LONG_PATIENCE: Final = 6.0  # for every other one: a little more than the settings' statement_timeout
REST: Final = 1.0  # seconds in which no verdict asks after that; then one does, and the others go on resting
PROBE: Final = 2.5  # seconds that the one has: as long as a connection may take to be made


class SilentError(OperationalError):
    """The database took a question and did not answer. Whoever asks again only waits again."""


class Patience(threading.local):
    """How long this thread waits for an answer, and whether the process leaves the database alone."""

    _rests_until = 0.0
    """Of the whole process, set on the class; 0: nobody rests."""
    _lock = threading.Lock()

    hurries = False
    """Whether this thread asks for a verdict."""

    @contextlib.contextmanager
    def of_a_verdict(self) -> Iterator[None]:
        """Wait for the answers inside for as long only as a verdict may take."""
        self.hurries = True
        try:
            yield
        finally:
            self.hurries = False

    def ask(self) -> None:
        """Return if the database may be asked. Raises `django.db.OperationalError` if it was silent a moment ago."""
        if not Patience._rests_until:
            return
        with self._lock:
            now = time.monotonic()
            if now < Patience._rests_until:
                raise OperationalError("the database did not answer a moment ago")
            Patience._rests_until = now + PROBE

    def answered(self) -> None:
        """Note that the database answers."""
        if Patience._rests_until:
            Patience._rests_until = 0.0

    def rest(self) -> None:
        """Leave the database alone for a moment: whoever asked next would only wait as well."""
        Patience._rests_until = time.monotonic() + REST


patience = Patience()


def limit_waiting() -> None:
    """See to it that nobody who asks through Django waits for ever for PostgreSQL. For servers, not for commands."""
    connection_created.connect(_limit, dispatch_uid="keyportal-patience")
    for connection in connections.all(initialized_only=True):
        _limit(connection=connection)


def _limit(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Give a connection's way of waiting a limit: questions, commits and Django's health checks alike go that way."""
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
            raw.close()  # nobody knows what it would say next
            patience.rest()
            raise SilentError("the database did not answer in time") from error
        patience.answered()
        return answer

    raw.wait = limited  # type: ignore[method-assign, assignment]
