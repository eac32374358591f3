"""Reading sealed rows in which somebody may have written what the portal never does.

SQLite takes anything into any column: a text where bytes belong, a time that is none. One such row must hide no other.
"""

from typing import Final, TypeVar

from django.db import DatabaseError

from accounts.sealed import SealedRow

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
    """Return the rows behind a key, or the last ones before one, with their keys; None for one that can't be read.

    Raises `django.db.Error` if nothing can be read.
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


def read_row(model: type[Row], pk: int) -> Row | None:
    """Return a row; None if it can't be read, or is not there. Raises `django.db.Error` if nothing can be read."""
    rows = model._default_manager.filter(pk=pk)
    try:
        return rows.first()
    except UNREADABLE:
        rows.exists()  # the database answers: it is the row
        return None


def fits(row: SealedRow | None) -> bool:
    """Return whether a row can be read and its seal fits."""
    try:
        return row is not None and row.is_intact()
    except UNREADABLE:
        return False


def seal_of(value: object) -> bytes:
    """Return what stands in a column of seals; nothing where it is no seal at all."""
    return bytes(value) if isinstance(value, bytes | memoryview) else b""
