"""Adding to rows that may be there already, many in a statement: what Django's `bulk_create` can only replace."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from django.db import connection
from django.db.models import Model

ROWS: Final = 500  # in a statement


def upsert(
    model: type[Model], fields: Sequence[str], rows: Iterable[Sequence[Any]], *, unique: str, change: str
) -> None:
    """Insert rows, and where one with the same `unique` columns is there already, change that.

    `change` is SQL in which `old.column` is the row that is there and `new.column` the one that came. Rows must come in
    one order from everybody, so that two writers can't wait for each other. Raises `django.db.Error`.
    """
    table = model._meta.db_table
    columns: list[Any] = [model._meta.get_field(name) for name in fields]
    does = change.replace("old.", f"{table}.").replace("new.", "excluded.")
    for chunk in _chunks(rows):
        places = ", ".join(f"({', '.join(['%s'] * len(fields))})" for _ in chunk)
        values = [
            column.get_db_prep_save(value, connection)
            for row in chunk
            for column, value in zip(columns, row, strict=True)
        ]
        with connection.cursor() as cursor:
            # Nothing in this text comes from outside; every value is a parameter.
            into = f"INSERT INTO {table} ({', '.join(fields)}) VALUES {places}"  # noqa: S608
            cursor.execute(f"{into} ON CONFLICT ({unique}) DO UPDATE SET {does}", values)


def _chunks(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    left = iter(rows)
    while chunk := list(islice(left, ROWS)):
        yield chunk
