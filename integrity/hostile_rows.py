"""Read sealed rows that may hold values that the portal never writes.

SQLite accepts any value in any column, such as text in place of bytes, or an invalid time. One such row must not hide
the others.
"""

from typing import Final, TypeVar

from django.db import DatabaseError

from integrity.sealed import SealedRow

AT_ONCE: Final = 2000  # rows
UNREADABLE: Final = (ValueError, TypeError, OverflowError, RecursionError, DatabaseError)

Row = TypeVar("Row", bound=SealedRow)


def read_rows(
    model: type[Row],
    *,
    after: int | None = None,
    before: int | None = None,
    downwards: bool = False,
    at_most: int = AT_ONCE,
) -> list[tuple[int, Row | None]]:
    """Return up to `at_most` rows in the order of their keys, as pairs of key and row; None for an unreadable row.

    `after` and `before` bound the keys, both exclusively. Raises `django.db.Error` if nothing can be read.
    """
    rows = model._default_manager.order_by("-pk" if downwards else "pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    try:
        return [(row.pk, row) for row in rows[:at_most]]
    except UNREADABLE:
        return [(pk, read_row(model, pk)) for pk in rows.values_list("pk", flat=True)[:at_most]]


def read_row(model: type[Row], pk: int | str) -> Row | None:
    """Return the row; None if it is missing or can't be read. Raises `django.db.Error` if nothing can be read."""
    rows = model._default_manager.filter(pk=pk)
    try:
        return rows.first()
    except UNREADABLE:
        rows.exists()  # raises unless the fault is in the row
        return None


def has_valid_seal(row: SealedRow | None) -> bool:
    """Return whether the row can be read and its seal is valid."""
    try:
        return row is not None and row.seal_is_valid()
    except UNREADABLE:
        return False


def seal_of(value: object) -> bytes:
    """Return the bytes of a seal column; empty if the value is not bytes at all."""
    return bytes(value) if isinstance(value, bytes | memoryview) else b""
