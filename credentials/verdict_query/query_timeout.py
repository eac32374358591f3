"""Query timeouts: a query to PostgreSQL that gets no answer is abandoned, and a circuit breaker holds back verdicts.

PostgreSQL's statement_timeout ends a query that takes too long. Nothing ends one whose answer never comes because the
server hangs or the network drops packets. Then every thread would wait, and every gateway with it.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import psycopg
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from credentials.runtime.circuit_breaker import CircuitBreaker

VERDICT_TIMEOUT: Final = 1.5  # seconds for the answer to a verdict's query, and to Django's health check
QUERY_TIMEOUT: Final = 6.0  # seconds for every other query: a little more than the settings' statement_timeout
COOL_DOWN: Final = 1.0  # seconds after a timeout in which no verdict queries
PROBE: Final = 2.5  # seconds for the one verdict that tries next: as long as making a connection may take


class QueryTimeout(OperationalError):  # noqa: N818  # as Django and psycopg name theirs
    """The database took a query and did not answer in time. A retry would only wait again."""


@cache
def breaker() -> CircuitBreaker:
    """Return the circuit breaker of the database, for the verdicts of this process."""
    return CircuitBreaker(cool_downs=(COOL_DOWN,), probe=PROBE)


os.register_at_fork(after_in_child=breaker.cache_clear)


class _Thread(threading.local):
    is_verdict = False
    """Whether this thread is querying for a verdict."""


_thread: Final = _Thread()


@contextlib.contextmanager
def verdict_timeout() -> Iterator[None]:
    """Limit the queries inside the block to `VERDICT_TIMEOUT` seconds."""
    _thread.is_verdict = True
    try:
        yield
    finally:
        _thread.is_verdict = False


def limit_queries() -> None:
    """Put a timeout on every query through Django to PostgreSQL. For server processes, not for commands."""
    connection_created.connect(_limit, dispatch_uid="keyportal-query-timeout")
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
        limit = VERDICT_TIMEOUT if _thread.is_verdict or is_health_check else QUERY_TIMEOUT
        try:
            answer = wait(generator, *arguments, **options | {"timeout": limit})
        except psycopg.errors._WaitTimeout as error:
            raw.close()  # its next answer could belong to this query
            breaker().failed()
            raise QueryTimeout("the database did not answer in time") from error
        breaker().succeeded()
        return answer

    raw.wait = limited  # type: ignore[method-assign, assignment]
