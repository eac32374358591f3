"""Verbs of the audiences that operators register besides the portal's own."""

from django.db import transaction

from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import confirm_rows
from tokens.models import Audience


@transaction.atomic
def add_audience(*, uri: str, description: str, origin: Origin) -> Audience:
    """Add an audience for which clients can request tokens. Raises `django.db.IntegrityError` if the URI exists."""
    audience = Audience(uri=uri, description=description)
    audience.save(force_insert=True)
    record_event(EventType.AUDIENCE_ADDED, subject=f"audience:{audience.pk}", origin=origin, uri=uri)
    return audience


@transaction.atomic
def change_audience(*, audience: Audience, description: str, origin: Origin) -> bool:
    """Change an audience's description; return False if the audience no longer exists."""
    changed = Audience.objects.filter(pk=audience.pk).update(description=description)
    if changed:
        record_event(EventType.AUDIENCE_CHANGED, subject=f"audience:{audience.pk}", origin=origin, uri=audience.uri)
    return bool(changed)


@transaction.atomic
def remove_audience(*, audience: Audience, origin: Origin) -> bool:
    """Stop issuing tokens for an audience; issued ones stay valid until they expire. Return False if it was gone.

    Raises `integrity.sealed.UndoneChangeError`.
    """
    removed, _ = Audience.objects.filter(pk=audience.pk).delete()
    confirm_rows(Audience.objects.filter(pk=audience.pk), exist=False)
    if removed:
        record_event(EventType.AUDIENCE_REMOVED, subject=f"audience:{audience.pk}", origin=origin, uri=audience.uri)
    return bool(removed)
