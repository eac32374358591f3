"""Write a key's row, so that of two writers one wins and the other is told.

The row seal covers the version, which every verb raises. So `UPDATE … WHERE seal = <the seal that was read>` succeeds
for one writer and updates no row for the other, on SQLite as on PostgreSQL.
"""

from collections.abc import Mapping
from typing import Final

from django.utils import timezone

from apikeys.errors import IntegrityViolationError, KeyEndedError
from apikeys.models import APIKey
from integrity.sealed import TamperedRowError, swap

MAX_VERSION: Final = 2_000_000_000
"""Where versions start over, before the column ends."""


def swap_key(key: APIKey, changes: Mapping[str, object], *, ignore_tampering: bool = False) -> bool:
    """Write the changes and the next version and return True; False if the key has changed since it was read.

    Whatever is changed, the notices about the key's expiry are looked at again: one that was left out because the key
    was paused may be due now. Raises `IntegrityViolationError` for a row that the portal did not write. Pass
    `ignore_tampering` for a change that takes rights away for good.
    """
    notice_at = key.first_notice(changes.get("expires_at", key.expires_at))  # type: ignore[arg-type]  # a time, or None
    try:
        return swap(
            key,
            {**changes, "version": next_version(key), "notice_at": notice_at},
            ignore_tampering=ignore_tampering,
        )
    except TamperedRowError as error:
        raise IntegrityViolationError("This key was changed outside the portal. Contact an operator.") from error


def refuse_ended(key: APIKey) -> None:
    """Raise `KeyEndedError` if the key is revoked or expired."""
    if key.revoked_at:
        raise KeyEndedError("This key is revoked. Create another one.")
    if key.expires_at and key.expires_at <= timezone.now():
        raise KeyEndedError("This key has expired. Set a later expiry first.")


def next_version(key: APIKey) -> int:
    """Return the version that a change gives the key."""
    # A row that the portal did not write may hold anything, and must still be revocable.
    return key.version % MAX_VERSION + 1 if isinstance(key.version, int) else 1
