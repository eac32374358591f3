"""Rows under a seal: what authorises somebody can't be changed by writing to the database alone (decision 1)."""

import json
from datetime import UTC, datetime
from typing import Any

from django.db import models

from accounts.rings import sealing_ring
from vault.rowseal import row_seal, row_seal_fits


class SealedRow(models.Model):
    """A row with an HMAC over what authorises. A verb that changes one of those fields seals the row anew."""

    seal = models.BinaryField(max_length=64, editable=False)

    class Meta:
        """No table of its own."""

        abstract = True

    def sealed_fields(self) -> list[str | bytes]:
        """Give what the seal covers, the row's purpose first: all that authorises, nothing that only describes."""
        raise TypeError(f"{type(self).__name__} does not say what its seal covers")

    def make_seal(self) -> bytes:
        """Seal the row as it stands in memory, under the first sealing key."""
        return row_seal(sealing_ring(), self.sealed_fields())

    def is_intact(self) -> bool:
        """Tell whether the row is as the portal wrote it; False if somebody changed it in the database."""
        return row_seal_fits(sealing_ring(), bytes(self.seal), self.sealed_fields())


def canonical_time(at: datetime | None) -> str:
    """Write a time in the one way in which it is sealed: UTC with microseconds; empty for none."""
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else ""


def canonical_json(value: Any) -> str:
    """Write a JSON value in the one way in which it is sealed, whatever a database made of it.

    PostgreSQL orders members anew, and gives a number without a fraction back as an integer.
    """
    return json.dumps(_plain(json.loads(json.dumps(value))), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
