"""How many messages about changed keys an owner gets: a program that has a key can act in a loop, and bury a mailbox.

What happened lately is counted in the trail and in the keys, without a counter of its own: one that every verb of an
owner writes would make them wait for each other.
"""

from datetime import timedelta
from typing import Final

from django.utils import timezone

from apikeys.models import APIKey
from audit.models import Event
from audit.origin import Origin

WINDOW: Final = timedelta(hours=1)
CHANGES: Final = 10
"""Messages about one key in the window; what happens to the others has no part in it."""
NEW_KEYS: Final = 30
"""Messages about new keys of one environment in the window."""


def surplus(key: APIKey, origin: Origin) -> tuple[int, int]:
    """Return by how many the changes of the key, and the new keys of its owner, are more than are told one by one.

    Both are 0 if all are. What operators and their commands do is always told.
    """
    if origin.actor != f"user:{key.owner_id}" and not origin.actor.startswith("key:"):
        return 0, 0
    since = timezone.now() - WINDOW
    changes = Event.objects.filter(subject_type="key", subject_id=key.pk, at__gte=since).count()
    if key.created_at < since:
        return max(0, changes - CHANGES), 0
    new = APIKey.objects.filter(owner=key.owner_id, environment=key.environment, created_at__gte=since).count()
    return max(0, changes - CHANGES), max(0, new - NEW_KEYS)


def deserves_summary(surplus: int) -> bool:
    """Return whether the owner is told of so many that were left out: at the first, and whenever they have doubled."""
    return surplus.bit_count() == 1
