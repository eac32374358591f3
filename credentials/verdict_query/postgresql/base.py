"""The backend: Django's own, over connections that give up a query when its answer does not come in time.

PostgreSQL's statement_timeout ends a query that takes too long. Nothing ends one whose answer never comes because the
server hangs or the network drops packets. Then every thread would wait, and every gateway with it.
"""

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

import psycopg
from django.db.backends.postgresql import base
from typing_extensions import override

from credentials.verdict_query.query_timeout import VERDICT_TIMEOUT, QueryTimeout, breaker


class Connection(psycopg.Connection[Any]):
    """A connection with a timeout for the answer to each query, commit and health check."""

    timeout: ClassVar[float | None] = None
    """Seconds, for all connections of this process; None for none, as in management commands."""
    _timeout_of_block: float | None = None
    """A shorter one, for the block of `answer_within`."""

    @contextlib.contextmanager
    def answer_within(self, seconds: float) -> Iterator[None]:
        """Wait in this block for at most so many seconds, in processes that have a timeout at all."""
        self._timeout_of_block = seconds
        try:
            yield
        finally:
            self._timeout_of_block = None

    @override
    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Return the result of an exchange with the server, all of which go through here. Raises `QueryTimeout`."""
        seconds = timeout if timeout is not None or self.timeout is None else self._timeout_of_block or self.timeout
        try:
            answer = super().wait(gen, interval, seconds)
        except psycopg.errors._WaitTimeout as error:
            self.close()  # its next answer could belong to this query
            breaker().on_failure()
            raise QueryTimeout("the database did not answer in time") from error
        if breaker().retry_at:
            breaker().on_success()
        return answer


_psycopg = ModuleType("psycopg")
_psycopg.__dict__.update(vars(psycopg), connect=Connection.connect)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection to PostgreSQL, made with `Connection`."""

    Database = _psycopg

    @override
    def is_usable(self) -> bool:
        """Return whether the server answers, within the timeout of a verdict: a health check precedes it."""
        raw = self.connection
        with raw.answer_within(VERDICT_TIMEOUT) if isinstance(raw, Connection) else contextlib.nullcontext():
            return super().is_usable()
