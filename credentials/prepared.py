"""Questions that the ORM writes once a process, and that PostgreSQL plans once a connection.

It takes ten times as long to write one as SQLite takes to answer it, and PostgreSQL plans it for longer than it looks.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from credentials.patience import SilentError, patience

logger = logging.getLogger(__name__)

Row = list[Any]

PREPARED_AFTER: Final = 3
"""How often a connection is asked something before PostgreSQL is to remember it."""
UNPREPARED: Final = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.FeatureNotSupported,
)
"""What PostgreSQL says of a statement that another session behind a pooler prepared, or whose tables have changed."""


def fields_but(model: type[Model], *unused: str) -> tuple[str, ...]:
    """Give the names of a model's columns without these, in the order in which `Model.from_db` takes their values."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.attname not in unused)


class Slot(Expression):
    """Stands in a query for a value that comes later, of this field's type."""

    def __init__(self, position: int, output_field: "Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.position = position

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        """Leave a place, and itself among the parameters."""
        return "%s", (self,)


class Prepared:
    """A selection of values with some parameters of one field's type, which go to the database as they are."""

    prepares = True
    """Whether this process has PostgreSQL remember its questions: not behind a pooler that mixes sessions up."""

    def __init__(self, build: "Callable[[Sequence[Slot]], QuerySet[Any, Any]]", field: "Field[Any, Any]") -> None:
        self._build = build
        self._field = field
        self._written = lru_cache(maxsize=8)(self._write)

    def rows(self, *parameters: str | bytes) -> list[Row]:
        """Ask, in one query and one round trip, and give the rows as Python values. Raises `django.db.Error`."""
        written = self._written(len(parameters))
        values = [parameters[given.position] if isinstance(given, Slot) else given for given in written.parameters]
        rows = [list(row) for row in _answer(written, values)]
        for row in rows:
            for position, functions, expression in written.converters:
                for function in functions:
                    row[position] = function(row[position], expression, connection)
        return rows

    def _write(self, count: int) -> "_Written":
        query = self._build([Slot(position, self._field) for position in range(count)]).query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        converting = [(position, *converter) for position, converter in converters.items()]
        return _Written(sql, sql % (("?",) * len(parameters)), tuple(parameters), converting)


class _Written(NamedTuple):
    sql: str
    plain: str
    """With SQLite's own placeholders: Django looks for its own each time, which takes longer than the answer."""
    parameters: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]


def _answer(written: _Written, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Ask without a look at the connection first, which would be a round trip of its own.

    One that a restart of the database has broken is found by using it: then the same is asked over a fresh one.
    """
    if connection.vendor == "postgresql":
        patience.ask()
    try:
        return _fetched(written, values)
    except (DatabaseError, InterfaceError) as error:
        if connection.in_atomic_block or not _deserves_another_try(error):
            raise
    connection.close()
    return _fetched(written, values)


def _fetched(written: _Written, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    is_plain = connection.vendor == "sqlite" and not connection.queries_logged  # a log is written with Django's own
    with _plain_cursor() if is_plain else _cursor() as cursor, patience.of_a_verdict():
        cursor.execute(written.plain if is_plain else written.sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    connection.health_check_done = True  # type: ignore[attr-defined]  # Django's own note, unknown to its stubs
    return rows


def _plain_cursor() -> CursorWrapper:
    """Give Django's cursor around SQLite's own, which takes a statement as it is."""
    connection.ensure_connection()
    return connection.make_cursor(connection.connection.cursor())


def _cursor() -> CursorWrapper:
    """Give Django's cursor; on PostgreSQL around one that leaves the values to the server, as a prepared one must."""
    if connection.vendor != "postgresql":
        return connection.cursor()
    try:
        connection.ensure_connection()
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.ConnectionTimeout):
            patience.rest()
        raise
    if not Prepared.prepares:
        return connection.cursor()
    raw = connection.connection
    raw.prepare_threshold = PREPARED_AFTER
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    return wrapped(psycopg.Cursor(raw))  # type: ignore[arg-type]  # the stubs take the wrapped one for the wrapper


def _deserves_another_try(error: Exception) -> bool:
    """Tell whether a fresh connection may do better; see to it that it does."""
    if isinstance(error, SilentError):
        return False
    if isinstance(error.__cause__, UNPREPARED):
        Prepared.prepares = False
        logger.warning("questions are not prepared from now on: %s", type(error.__cause__).__name__)
        return True
    raw = connection.connection
    return connection.vendor == "postgresql" and raw is not None and raw.closed
