"""Prepared queries: the ORM compiles them once per process, and PostgreSQL plans them once per connection.

Compiling such a query takes ten times as long as SQLite takes to answer it, and PostgreSQL plans it for longer than it
runs it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from operator import itemgetter
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from typing_extensions import override

from credentials.verdict_query.postgresql.base import Connection, DatabaseWrapper
from credentials.verdict_query.query_timeout import LINE_TIMEOUT, VERDICT_TIMEOUT, QueryTimeout, breaker

logger = logging.getLogger(__name__)

AnyModel = TypeVar("AnyModel", bound=Model)
Row = TypeVar("Row")
Value = TypeVar("Value")

PREPARED_AFTER: Final = 3
"""The number of executions on a connection after which PostgreSQL prepares a statement."""
UNPREPARED: Final = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.FeatureNotSupported,
)
"""PostgreSQL's errors for a statement that another session behind a pooler prepared, or whose tables have changed."""


@dataclass(frozen=True, slots=True)
class Piece(Generic[Value]):
    """A part of a query's rows: the columns to select, and the function that makes a value of theirs."""

    columns: tuple[str, ...]
    make: Callable[[Sequence[Any]], Value]

    def under(self, path: str) -> "Piece[Value]":
        """Return the same part, reached over a relation such as `key__owner__`."""
        return Piece(tuple(f"{path}{column}" for column in self.columns), self.make)


def row_of(model: type[AnyModel], *unused: str) -> Piece[AnyModel]:
    """Return the part that becomes an instance of a model, without the fields in `unused`."""
    columns = tuple(field.attname for field in model._meta.concrete_fields if field.attname not in unused)
    return Piece(columns, partial(model.from_db, "default", columns))


def value_of(column: str) -> Piece[Any]:
    """Return the part that is one column's value."""
    return Piece((column,), itemgetter(0))


class Placeholder(Expression):
    """A placeholder in a query for a value of this field's type that is filled in later."""

    def __init__(self, position: int, output_field: "Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.position = position

    @override
    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        """Return a placeholder, with itself as its parameter."""
        return "%s", (self,)


class PreparedQuery(Generic[Row]):
    """A query whose parameters are all of one field's type and go to the database unconverted."""

    prepares: ClassVar[bool] = True
    """Whether this process has PostgreSQL prepare statements. False behind a pooler that mixes sessions."""

    def __init__(
        self,
        build: "Callable[[Sequence[Placeholder]], QuerySet[Any, Any]]",
        field: "Field[Any, Any]",
        row: Callable[..., Row],
        **pieces: Piece[Any],
    ) -> None:
        """Take the function that builds the query for its parameters, and the type of a row with its parts by name."""
        self._build = build
        self._field = field
        self._row = row
        self._pieces = pieces
        self._compiled = lru_cache(maxsize=8)(self._compile)

    def fetch(self, *parameters: str | bytes) -> list[Row]:
        """Run the query in one round trip and return its rows. Raises `django.db.Error`."""
        compiled = self._compiled(len(parameters))
        values = [
            parameters[given.position] if isinstance(given, Placeholder) else given for given in compiled.parameters
        ]
        rows = [list(row) for row in _execute(compiled, values)]
        for row in rows:
            for position, functions, expression in compiled.converters:
                for function in functions:
                    row[position] = function(row[position], expression, connection)
        return [self._make_row(iter(row)) for row in rows]

    def _make_row(self, values: Iterator[Any]) -> Row:
        return self._row(
            **{name: piece.make(list(islice(values, len(piece.columns)))) for name, piece in self._pieces.items()}
        )

    def _compile(self, count: int) -> "_CompiledQuery":
        columns = [column for piece in self._pieces.values() for column in piece.columns]
        found = self._build([Placeholder(position, self._field) for position in range(count)])
        query = found.order_by().values_list(*columns).query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        converting = [(position, *converter) for position, converter in converters.items()]
        return _CompiledQuery(sql, sql % (("?",) * len(parameters)), tuple(parameters), converting)


class _CompiledQuery(NamedTuple):
    sql: str
    plain: str
    """The SQL with SQLite's own placeholders: Django would convert its own each time, longer than the query takes."""
    parameters: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]


def _execute(compiled: _CompiledQuery, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run the query without a health check of the connection first, which would be another round trip.

    A connection that a restart of the database broke, or that a proxy cut off, is detected in use; then the query runs
    again over a fresh one.
    """
    if connection.vendor == "postgresql":
        if breaker().retry_at and not breaker().allows():
            raise OperationalError("the database did not answer a moment ago")
        if isinstance(connection, DatabaseWrapper):
            connection.close_if_outdated()
    try:
        return _fetch(compiled, values, within=LINE_TIMEOUT)
    except (DatabaseError, InterfaceError) as error:
        if connection.in_atomic_block or not _deserves_another_try(error):
            raise
    connection.close()
    try:
        return _fetch(compiled, values, within=VERDICT_TIMEOUT)
    except QueryTimeout:
        breaker().on_failure()
        raise


def _fetch(compiled: _CompiledQuery, values: Sequence[Any], *, within: float) -> list[tuple[Any, ...]]:
    if connection.vendor == "postgresql":
        rows = _fetch_from_postgresql(compiled, values, within)
    else:
        rows = _run(compiled, values)
    connection.health_check_done = True  # type: ignore[attr-defined]  # Django's own attribute, unknown to its stubs
    return rows


def _run(compiled: _CompiledQuery, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run the query on SQLite, whose own cursor executes a statement unchanged."""
    if connection.queries_logged:  # the log needs Django's placeholders
        return _rows(connection.cursor(), compiled.sql, values)
    connection.ensure_connection()
    return _rows(connection.make_cursor(connection.connection.cursor()), compiled.plain, values)


def _fetch_from_postgresql(compiled: _CompiledQuery, values: Sequence[Any], within: float) -> list[tuple[Any, ...]]:
    """Run the query within so many seconds, over a cursor with server-side parameters, which preparing needs."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.ConnectionTimeout):
            breaker().on_failure()
        raise
    if PreparedQuery.prepares:
        connection.connection.prepare_threshold = PREPARED_AFTER
        wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
        cursor = wrapped(psycopg.Cursor(connection.connection))  # type: ignore[arg-type]  # the stubs mix the two up
    else:
        cursor = connection.cursor()  # over another connection, if this one has just failed Django's health check
    raw: Connection = connection.connection
    with raw.answer_within(within):
        return _rows(cursor, compiled.sql, values)


def _rows(cursor: CursorWrapper, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _deserves_another_try(error: Exception) -> bool:
    """Return whether a retry over a fresh connection may succeed. Switches preparing off if that is what failed."""
    if isinstance(error.__cause__, UNPREPARED):
        PreparedQuery.prepares = False
        logger.warning("queries are not prepared from now on: %s", type(error.__cause__).__name__)
        return True
    raw = connection.connection
    return connection.vendor == "postgresql" and raw is not None and raw.closed
