"""Check values of ring keys, which prove that the process has the rings that the database was written with.

With a wrong index ring every key would look unknown, and clients would discard good credentials. So a process whose
rings do not fit must not answer at all.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from hmac import compare_digest
from typing import Final

from integrity.models import KeyCheck
from integrity.rings import index_ring, sealing_ring, signing_ring
from vault.errors import VaultError
from vault.rings import KeyRing

SIGNING: Final = "signing"
SHOWN: Final = 16
"""Characters of a digest of a signing key's `kid`, which is longer than the column of ids."""


class RingMisfitError(VaultError):
    """This process lacks the rings that the database was written with. The message names ring and id, never a key."""


def confirm_rings() -> None:
    """Compare the rings with the database, and store check values for keys that are new to it.

    Raises `RingMisfitError` if they differ, and `django.db.Error` if the database can't be queried.
    """
    for ring in (sealing_ring(), index_ring()):
        known = {check.key_id: bytes(check.value) for check in KeyCheck.objects.filter(ring=ring.name)}
        for misfit in _misfits(ring, known):
            raise RingMisfitError(misfit)
        new = [KeyCheck(ring=ring.name, key_id=key.id, value=key.check_value) for key in ring if key.id not in known]
        KeyCheck.objects.bulk_create(new, ignore_conflicts=True)


@cache
def confirm_rings_once() -> bool:
    """Confirm the rings once per process. Return True, or raise what `confirm_rings` raises and try again next time."""
    confirm_rings()
    return True


def _misfits(ring: KeyRing, known: Mapping[str, bytes]) -> Iterator[str]:
    for key_id, check in known.items():
        if key_id not in ring:
            yield f"the {ring.name} ring lacks the key {key_id!r} that the database was written with"
        elif not compare_digest(check, ring[key_id].check_value):
            yield f"key {key_id!r} of the {ring.name} ring is not the one that the database was written with"


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
