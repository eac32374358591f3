"""Query timeouts on PostgreSQL: a query that gets no answer is abandoned, and a circuit breaker holds back verdicts.

A proxy or a firewall can swallow a connection while the server is well. So one that is silent is no reason to hold back
anything yet: the query runs again over a fresh connection, and all older ones are replaced before they are used.
"""

import os
import time
from functools import cache
from typing import Final

from django.db import OperationalError

from credentials.runtime.circuit_breaker import CircuitBreaker

LINE_TIMEOUT: Final = 0.6  # seconds for the answer to a verdict's first try, and to Django's health check
VERDICT_TIMEOUT: Final = 1.5  # seconds for the answer to its second try, over a fresh connection
QUERY_TIMEOUT: Final = 6.0  # seconds for every other query: a little more than the settings' statement_timeout
COOL_DOWN: Final = 1.0  # seconds after a timeout in which no verdict queries
PROBE: Final = 2.5  # seconds for the one verdict that tries next: as long as making a connection may take


class QueryTimeout(OperationalError):  # noqa: N818  # as Django and psycopg name theirs
    """The database took a query and did not answer in time. A retry would only wait again."""


class SilentConnections:
    """Which connections of this process may be cut off unnoticed: all that are older than the last silent one's end."""

    def __init__(self) -> None:
        self._distrusted_before = 0.0

    def on_silence(self) -> None:
        """Handle a connection that gave no answer in time. It is closed."""
        self._distrusted_before = time.monotonic()

    def includes(self, made_at: float) -> bool:
        """Return whether a connection that was made at this time of the monotonic clock must be replaced."""
        return made_at < self._distrusted_before


@cache
def silent_connections() -> SilentConnections:
    """Return what this process knows of silent connections."""
    return SilentConnections()


@cache
def breaker() -> CircuitBreaker:
    """Return the circuit breaker of the database, for the verdicts of this process."""
    return CircuitBreaker(cool_downs=(COOL_DOWN,), probe=PROBE)


os.register_at_fork(after_in_child=breaker.cache_clear)
os.register_at_fork(after_in_child=silent_connections.cache_clear)
