"""Query timeouts on PostgreSQL: a query that gets no answer is abandoned, and a circuit breaker holds back verdicts."""

import os
from functools import cache
from typing import Final

from django.db import OperationalError

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
