"""Upserts of many rows per statement that add to existing rows, where Django's `bulk_create` can only replace."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from django.db import connection
from django.db.models import Model

ROWS: Final = 500  # per statement


def upsert(
    model: type[Model], fields: Sequence[str], rows: Iterable[Sequence[Any]], *, unique: str, change: str
) -> None:
    """Insert rows, or apply `change` where a row with the same `unique` columns exists already.

    `change` is SQL in which `old.column` is the existing row and `new.column` the new one. All callers must sort their
    rows in the same order, so that two writers can't deadlock. Raises `django.db.Error`.
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
            # No part of this SQL comes from input; every value is a parameter.
            into = f"INSERT INTO {table} ({', '.join(fields)}) VALUES {places}"  # noqa: S608
            cursor.execute(f"{into} ON CONFLICT ({unique}) DO UPDATE SET {does}", values)


def _chunks(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    left = iter(rows)
    while chunk := list(islice(left, ROWS)):
        yield chunk
