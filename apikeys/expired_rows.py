"""The rows of this room that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apikeys.models import IdempotentAnswer, KeySecret, Notice
from apikeys.services.idempotency import KEPT_FOR

NOTICES_KEPT_FOR: Final = timedelta(days=30)
"""How long after an expiry, or the end of an overlap, the rows of its notices are kept."""


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return the digests of secrets that ended long ago, the answers that need not be repeated, and old notices.

    Until then, a client learns that its key is revoked or its secret retired. Afterwards the secret is unknown. The
    times are the database's own.
    """
    cutoff = Now() - timedelta(days=settings.KEYPORTAL_TOMBSTONE_DAYS)
    return {
        "tombstones": KeySecret.objects.filter(Q(key__revoked_at__lt=cutoff) | Q(retires_at__lt=cutoff)),
        "answers": IdempotentAnswer.objects.filter(created_at__lt=Now() - KEPT_FOR),
        "notices": Notice.objects.filter(due_for__lt=Now() - NOTICES_KEPT_FOR),
    }
