"""The verb that forgets a key of a ring, so that the settings may drop it."""

from django.db import transaction

from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.models import KeyCheck
from keyportal.ring_usage import ring_key_uses


class RingKeyInUseError(Exception):
    """The key can't be forgotten. The message says why."""


@transaction.atomic
def forget_ring_key(*, ring: str, key_id: str, origin: Origin) -> None:
    """Delete the check value of a ring's key that no row names, so that a process without the key may start.

    Raises `RingKeyInUseError` if a row names it, if this process writes with it, or if the database does not know it.
    """
    found = next((use for use in ring_key_uses() if (use.ring, use.key_id) == (ring, key_id)), None)
    if found is None or found.used_since is None:
        raise RingKeyInUseError("The database was not written with a key of this id. There is nothing to forget.")
    if found.writes:
        raise RingKeyInUseError("It is the first key of its ring: the portal writes with it. Put another one first.")
    if found.rows:
        rows = ", ".join(f"{count:,} {kind}" for kind, count in found.rows.items())
        raise RingKeyInUseError(f"Rows were written with it and can't be read without it: {rows}.")
    if not KeyCheck.objects.filter(ring=ring, key_id=key_id).delete()[0]:
        raise RingKeyInUseError("Another command has just forgotten it.")
    record_event(EventType.RING_KEY_FORGOTTEN, subject=f"ring:{ring}", origin=origin, key_id=key_id)
