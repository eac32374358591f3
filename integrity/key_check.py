"""Check values of ring keys, which prove that a process has the rings that the database was written with.

With a wrong index ring every key would look unknown, and clients would discard good credentials. So a process whose
rings do not fit must not answer at all.

A key's check value is stored with the first row that is written under it, in the same transaction. Reading stores
none, so a process that only tries a ring leaves no trace. If all processes can read a key before one of them writes
with it (`old,new` everywhere, then `new,old`), none ever lacks one.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from hmac import compare_digest
from typing import Final

from django.db import connection, transaction

from integrity.models import KeyCheck
from integrity.rings import index_ring, sealing_ring, signing_ring
from vault.digests import VERSION as SEAL_VERSION
from vault.digests import read_stamp
from vault.errors import VaultError
from vault.rings import KeyRing, RingKey

_stored: set[tuple[str, str, bytes]] = set()
"""Ring, key id and check value of the keys whose check values this process knows to be stored."""

SIGNING: Final = "signing"
SHOWN: Final = 16
"""Characters of a digest of a signing key's `kid`, which is longer than the column of ids."""


class RingMisfitError(VaultError):
    """This process lacks the rings that the database was written with. The message names ring and id, never a key."""


def confirm_rings() -> None:
    """Compare the rings with the database. Writes nothing.

    Raises `RingMisfitError` if they differ, and `django.db.Error` if the database can't be queried.
    """
    rows = [(ring, key_id, bytes(value)) for ring, key_id, value in KeyCheck.objects.values_list(*_COLUMNS)]
    for ring in (sealing_ring(), index_ring()):
        known = {key_id: value for name, key_id, value in rows if name == ring.name}
        for misfit in _misfits(ring, known):
            raise RingMisfitError(misfit)
    _stored.intersection_update(rows)  # a value that was removed is stored again with the next row
    if not connection.in_atomic_block:
        _stored.update(rows)


@cache
def confirm_rings_once() -> bool:
    """Confirm the rings once per process. Return True, or raise what `confirm_rings` raises and try again next time."""
    confirm_rings()
    return True


def sealing_ring_to_write() -> KeyRing:
    """Return the sealing ring for a row that is about to be written; stores the check value of its first key.

    Raises `RingMisfitError` if the database was written with another key under the same id.
    """
    return _with_stored_value(sealing_ring())


def index_key_to_write() -> RingKey:
    """Return the first key of the index ring, likewise."""
    return _with_stored_value(index_ring()).primary


def is_known(ring: KeyRing, key_id: str) -> bool:
    """Return whether a key is in this process's ring, or was written with. Raises `django.db.Error`."""
    return key_id in ring or KeyCheck.objects.filter(ring=ring.name, key_id=key_id).exists()


def confirm_key_of(ring: KeyRing, blob: bytes) -> None:
    """Raise `RingMisfitError` if a value is stamped with a key that the database was written with and this ring lacks.

    Then this process can't tell whether the value is good. Raises `django.db.Error`, too.
    """
    parts = read_stamp(blob, SEAL_VERSION)
    if parts is not None and parts[0] not in ring:
        confirm_rings()


_COLUMNS = ("ring", "key_id", "value")


def _with_stored_value(ring: KeyRing) -> KeyRing:
    key = ring.primary
    entry = (ring.name, key.id, key.check_value)
    if entry in _stored:
        return ring
    new = KeyCheck(ring=ring.name, key_id=key.id, value=key.check_value)
    KeyCheck.objects.bulk_create([new], ignore_conflicts=True)
    # Another process may have been first, and may have another key under this id.
    held = KeyCheck.objects.filter(ring=ring.name, key_id=key.id).values_list("value", flat=True).first()
    if held is None or not compare_digest(bytes(held), key.check_value):
        raise RingMisfitError(_is_another(ring, key.id))
    transaction.on_commit(lambda: _stored.add(entry))
    return ring


def _misfits(ring: KeyRing, known: Mapping[str, bytes]) -> Iterator[str]:
    for key_id, check in known.items():
        if key_id not in ring:
            yield f"the {ring.name} ring lacks the key {key_id!r} that the database was written with"
        elif not compare_digest(check, ring[key_id].check_value):
            yield _is_another(ring, key_id)


def _is_another(ring: KeyRing, key_id: str) -> str:
    return f"key {key_id!r} of the {ring.name} ring is not the one that the database was written with"


def primary_keys_since() -> dict[str, datetime]:
    """Return for each ring since when the database knows the key that writes. Raises `django.db.Error`.

    A signing key is noted here when it is first seen. Nothing is compared with it: another one only signs other tokens.
    """
    signing = hashlib.sha256(signing_ring().primary.id.encode())
    primaries = {
        sealing_ring().name: sealing_ring().primary.id,
        index_ring().name: index_ring().primary.id,
        SIGNING: signing.hexdigest()[:SHOWN],
    }
    since = {(check.ring, check.key_id): check.seen_at for check in KeyCheck.objects.all()}
    if (SIGNING, primaries[SIGNING]) not in since:
        noted = KeyCheck(ring=SIGNING, key_id=primaries[SIGNING], value=signing.digest())
        KeyCheck.objects.bulk_create([noted], ignore_conflicts=True)
        since[SIGNING, noted.key_id] = noted.seen_at
    return {ring: since[ring, key_id] for ring, key_id in primaries.items() if (ring, key_id) in since}
