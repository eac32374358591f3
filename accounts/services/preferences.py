"""The service for e-mail preferences."""

from collections.abc import Collection

from django.db import transaction

from accounts.message_kinds import MessageKind
from accounts.models import EmailPreference, User
from accounts.preferences import changed_kinds
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event


@transaction.atomic
def set_email_preferences(*, user: User, wanted: Collection[MessageKind], origin: Origin) -> bool:
    """Store that the user wants exactly these of the messages that can be switched off; return False if they did.

    The caller must require a fresh log-in before it switches a message off: it may be the one that reveals a thief.
    """
    # Locked, so that of two forms at once the second one sees what the first one chose, and none is kept after closing.
    if not User.objects.select_for_update().filter(pk=user.pk, closed_at=None).exists():
        return False
    changed = changed_kinds(user, wanted)
    if not changed:
        return False
    EmailPreference.objects.bulk_create(
        [EmailPreference(user=user, kind=kind, wanted=on) for kind, on in changed.items()],
        update_conflicts=True,
        unique_fields=["user", "kind"],
        update_fields=["wanted"],
    )
    record_event(
        EventType.EMAIL_PREFERENCES_CHANGED,
        subject=f"user:{user.pk}",
        origin=origin,
        turned_on=[kind for kind, on in changed.items() if on],
        turned_off=[kind for kind, on in changed.items() if not on],
    )
    return True
