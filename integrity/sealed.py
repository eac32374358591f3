"""Sealed rows: fields that authorise can't be changed with write access to the database alone (decision 1)."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction
from typing_extensions import override

from integrity.key_check import confirm_key_of, sealing_ring_to_write
from integrity.rings import sealing_ring
from vault.digests import row_seal, row_seal_is_valid

logger = logging.getLogger(__name__)


class TamperedRowError(Exception):
    """A row is not as the portal wrote it. Sealing it again is refused: that would legitimise the foreign change."""

    what: ClassVar[str] = "account"
    """What can't be used meanwhile, in a word for people."""


class ContendedRowError(Exception):
    """So many writers changed the row that this one never found it as it had read it."""


class UndoneChangeError(Exception):
    """The database accepted a change but does not hold it: a foreign trigger, rule or policy undid it."""


class SealedRow(models.Model):
    """A row with an HMAC over the fields that authorise. A service that changes one of them seals the row again."""

    seal = models.BinaryField(max_length=64, editable=False)

    PURPOSE: ClassVar[str]
    """The kind of row. A seal for one kind is not valid for another."""
    SEALED: ClassVar[tuple[str, ...]]
    """The columns that the seal covers: all that authorise, none that only describe."""

    class Meta:
        abstract = True

    @override
    def save(self, *, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """Write the row, sealed. For new rows, libraries and shells; services use `swap` instead.

        Raises `TamperedRowError` rather than seal a row again that was changed outside the portal.
        """
        fields = None if update_fields is None else {*update_fields}
        is_new = self._state.adding
        if not is_new and fields is not None and fields.isdisjoint(self.SEALED):
            super().save(update_fields=fields, **options)
            return
        rows = type(self)._default_manager.filter(pk=self.pk)
        if not is_new and not rows.get().seal_is_valid():
            raise TamperedRowError(f"{self._meta.label} {self.pk} was changed outside the portal")
        self.seal = self.make_seal()
        with transaction.atomic(savepoint=False):
            super().save(update_fields=fields and {*fields, "seal"}, **options)
            if not is_new:
                confirm_rows(rows.filter(seal=self.seal))

    @classmethod
    def sealed_columns(cls) -> tuple[str, ...]:
        """Return the seal's column and those that it covers, in the order in which `Model.from_db` takes values."""
        return tuple(field.attname for field in cls._meta.concrete_fields if field.attname in {*cls.SEALED, "seal"})

    def sealed_fields(self) -> list[str | bytes]:
        """Return the fields that the seal covers, purpose first, each in canonical form."""
        return [self.PURPOSE, *(canonical(getattr(self, name)) for name in self.SEALED)]

    def make_seal(self) -> bytes:
        """Return the seal of the row as it is in memory, which is about to be written, under the first sealing key."""
        return row_seal(sealing_ring_to_write(), self.sealed_fields())

    def seal_is_valid(self) -> bool:
        """Return whether the row is as the portal wrote it; False if a sealed field was changed in the database.

        Raises `integrity.key_check.RingMisfitError` if this process lacks the key that it was sealed with.
        """
        seal: object = self.seal  # SQLite accepts any value in any column, and bytes(10**9) is a gigabyte
        blob, ring = bytes(seal) if isinstance(seal, bytes | memoryview) else b"", sealing_ring()
        if row_seal_is_valid(ring, blob, self.sealed_fields()):
            return True
        confirm_key_of(ring, blob)
        return False


def canonical(value: Any) -> str | bytes:
    """Return the canonical form of a value: UTC with microseconds for a time, empty for None.

    JSON gets a form that no database changes: PostgreSQL reorders members, and returns 1.0 as 1.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, dict | list):
        return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


Row = TypeVar("Row", bound=SealedRow)


def swap(row: SealedRow, changes: Mapping[str, Any], *, ignore_tampering: bool = False) -> bool:
    """Write the changes and a new seal if the row is still as it was read; return whether it was (compare and swap).

    The seal changes with every field that authorises, so this one UPDATE decides between two writers. Raises
    `UndoneChangeError`, and `TamperedRowError` if the old seal is not valid. Pass `ignore_tampering` to skip that check
    for a change that takes rights away for good.
    """
    if not ignore_tampering and not row.seal_is_valid():
        raise TamperedRowError(f"{row._meta.label} {row.pk} was changed outside the portal")
    read: object = row.seal
    # SQLite may hold a seal of another type, which the field can't compare. Such a key, too, must be revocable.
    held = read if isinstance(read, bytes | memoryview) else models.Value(read)
    for field, value in changes.items():
        setattr(row, field, value)
    row.seal = row.make_seal()
    rows = type(row)._default_manager.filter(pk=row.pk)
    with transaction.atomic(savepoint=False):
        if rows.filter(seal=held).update(**changes, seal=row.seal) != 1:
            return False
        confirm_rows(rows.filter(seal=row.seal))
    return True


def confirm_rows(rows: "models.QuerySet[Any, Any]", *, exist: bool = True) -> None:
    """Check that the database holds a change as it was written, before the change is reported as done.

    Call it in the transaction that wrote the change, which is rolled back otherwise. Raises `UndoneChangeError`.
    """
    if rows.exists() == exist:
        return
    table = rows.model._meta.db_table
    logger.error("integrity_violation: a change of %s was undone by the database", table)
    raise UndoneChangeError(f"a change of {table} was undone by the database: look for triggers, rules and policies")


def until_unchanged(model: type[Row], pk: str, attempts: int = 100) -> Iterator[Row]:
    """Yield the row as it is now, again and again, until the caller's swap succeeds and it leaves the loop.

    Raises the model's `DoesNotExist`, and `ContendedRowError` after `attempts` rounds.
    """
    for _ in range(attempts):
        yield model._default_manager.get(pk=pk)
    raise ContendedRowError(f"{model._meta.label} {pk} is being changed by many at once")
