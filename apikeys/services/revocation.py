"""End a key."""

from django.db import transaction
from django.utils import timezone

from apikeys import emails
from apikeys.models import APIKey, KeySecret
from apikeys.services.changing import swap_key
from apikeys.services.idempotency import destroy_answers
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import confirm_rows, until_unchanged


@transaction.atomic
def revoke(*, key: APIKey, reason: str, origin: Origin) -> bool:
    """End a key for good and destroy its ciphertexts; return False if it was already revoked.

    The digests stay as tombstones. Of any number of concurrent calls, one returns True, and one event is written.
    Raises `integrity.sealed.UndoneChangeError`.
    """
    for current in until_unchanged(APIKey, key.pk):
        if current.revoked_at:
            return False
        if swap_key(current, {"revoked_at": timezone.now(), "revoked_reason": reason}, ignore_tampering=True):
            break
    destroy_answers(key)
    KeySecret.objects.filter(key=key).update(ciphertext=None)
    confirm_rows(KeySecret.objects.filter(key=key, ciphertext__isnull=False), exist=False)
    record_event(EventType.KEY_REVOKED, subject=f"key:{key.pk}", origin=origin, reason=reason)
    emails.send_key_revoked(current, origin)
    return True
