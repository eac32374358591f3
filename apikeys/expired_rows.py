"""The rows of this room that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from apikeys.models import KeySecret


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return the digests of secrets that were revoked long ago. Until then, a client learns that its key is revoked.

    Afterwards the secret is unknown. The time is the database's own.
    """
    cutoff = Now() - timedelta(days=settings.KEYPORTAL_TOMBSTONE_DAYS)
    return {"tombstones": KeySecret.objects.filter(key__revoked_at__lt=cutoff)}
