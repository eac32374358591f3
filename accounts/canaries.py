"""Canaries: proof that the key rings of this process are those that the database was written with.

A wrong index ring would make every key look unknown, and every client would throw its credential away. So a process
whose rings do not fit must not answer at all.
"""

from collections.abc import Iterator
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
        for misfit in _misfits(ring):
            raise RingMisfitError(misfit)
        RingCanary.objects.bulk_create(
            [RingCanary(ring=ring.name, key_id=key.id, value=key.canary) for key in ring], ignore_conflicts=True
        )


@cache
def rings_confirmed() -> bool:
    """Confirm the rings, once in a process: True, or what `confirm_rings` raises (and then asks again next time)."""
    confirm_rings()
    return True


def _misfits(ring: KeyRing) -> Iterator[str]:
    for canary in RingCanary.objects.filter(ring=ring.name):
        if canary.key_id not in ring:
            yield f"the {ring.name} ring lacks the key {canary.key_id!r}, which the database was written with"
        elif not compare_digest(bytes(canary.value), ring[canary.key_id].canary):
            yield f"key {canary.key_id!r} of the {ring.name} ring is not the one that the database was written with"
