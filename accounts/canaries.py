"""Canaries: proof that the key rings of this process are those that the database was written with.

A wrong index ring would make every key look unknown, and every client would throw its credential away. So a process
whose rings do not fit must not answer at all.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from hmac import compare_digest

from accounts.models import RingCanary
from accounts.rings import index_ring, sealing_ring
from vault.errors import VaultError
from vault.rings import KeyRing


class RingMisfitError(VaultError):
    """The rings of this process are not the ones that the database was written with. Names ring and id, no key."""


def confirm_rings() -> None:
    """Compare the rings with the database and remember the keys that are new to it.

    Raises `RingMisfitError`, or `django.db.Error` when the database can't be asked.
    """
    for ring in (sealing_ring(), index_ring()):
        known = {canary.key_id: bytes(canary.value) for canary in RingCanary.objects.filter(ring=ring.name)}
        for misfit in _misfits(ring, known):
            raise RingMisfitError(misfit)
        new = [RingCanary(ring=ring.name, key_id=key.id, value=key.canary) for key in ring if key.id not in known]
        RingCanary.objects.bulk_create(new, ignore_conflicts=True)


@cache
def rings_confirmed() -> bool:
    """Confirm the rings, once in a process: True, or what `confirm_rings` raises (and then asks again next time)."""
    confirm_rings()
    return True


def _misfits(ring: KeyRing, known: Mapping[str, bytes]) -> Iterator[str]:
    for key_id, canary in known.items():
        if key_id not in ring:
            yield f"the {ring.name} ring lacks the key {key_id!r}, which the database was written with"
        elif not compare_digest(canary, ring[key_id].canary):
            yield f"key {key_id!r} of the {ring.name} ring is not the one that the database was written with"
