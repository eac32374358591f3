"""The backend: Django's own, over connections that give up a query when its answer does not come in time.

PostgreSQL's statement_timeout ends a query that takes too long. Nothing ends one whose answer never comes because the
server hangs or the network drops packets. Then every thread would wait, and every gateway with it.
"""

import contextlib
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

import psycopg
from django.db.backends.postgresql import base
from typing_extensions import override

from credentials.verdict_query.query_timeout import LINE_TIMEOUT, QueryTimeout, breaker, silent_connections


class Connection(psycopg.Connection[Any]):
    """A connection with a timeout for the answer to each query, commit and health check."""

    timeout: ClassVar[float | None] = None
    """Seconds, for all connections of this process; None for none, as in management commands."""
    _timeout_of_block: float | None = None
    """A shorter one, for the block of `answer_within`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made_at = time.monotonic()

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
            silent_connections().on_silence()
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
        """Return whether the server answers soon: if not, Django makes another connection."""
        raw = self.connection
        if isinstance(raw, Connection) and silent_connections().includes(raw.made_at):
            return False
        with raw.answer_within(LINE_TIMEOUT) if isinstance(raw, Connection) else contextlib.nullcontext():
            return super().is_usable()

    def close_if_outdated(self) -> None:
        """Close the connection if it has reached its largest age (CONN_MAX_AGE), or may be cut off unnoticed."""
        raw = self.connection
        if raw is None or self.in_atomic_block:
            return
        is_too_old = self.close_at is not None and time.monotonic() >= self.close_at
        if is_too_old or silent_connections().includes(raw.made_at):
            self.close()
