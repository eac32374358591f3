"""Queries that the ORM writes once a process. It takes ten times as long to write one as SQLite takes to answer it."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

Row = list[Any]


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

    def __init__(self, build: "Callable[[Sequence[Slot]], QuerySet[Any, Any]]", field: "Field[Any, Any]") -> None:
        self._build = build
        self._field = field
        self._written = lru_cache(maxsize=8)(self._write)

    def rows(self, *parameters: str | bytes) -> list[Row]:
        """Ask, in one query, and give the rows as Python values. Raises `django.db.Error`."""
        written = self._written(len(parameters))
        values = [parameters[given.position] if isinstance(given, Slot) else given for given in written.parameters]
        with connection.cursor() as cursor:
            cursor.execute(written.sql, values)
            rows = [list(row) for row in cursor.fetchall()]
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
        return _Written(sql, tuple(parameters), converting)


class _Written(NamedTuple):
    sql: str
    parameters: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]
