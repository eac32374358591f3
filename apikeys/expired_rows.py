"""The rows of this room that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apikeys.models import IdempotentAnswer, KeySecret
from apikeys.services.idempotency import KEPT_FOR


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return the digests of secrets that ended long ago, and the answers that need not be repeated any more.

    Until then, a client learns that its key is revoked or its secret retired. Afterwards the secret is unknown. The
    times are the database's own.
    """
    cutoff = Now() - timedelta(days=settings.KEYPORTAL_TOMBSTONE_DAYS)
    return {
        "tombstones": KeySecret.objects.filter(Q(key__revoked_at__lt=cutoff) | Q(retires_at__lt=cutoff)),
        "answers": IdempotentAnswer.objects.filter(created_at__lt=Now() - KEPT_FOR),
    }
