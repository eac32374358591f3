"""The counts and addresses that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from credentials.usage.models import SourceAddress, Usage, UsageBatch

RETRIED_FOR: Final = timedelta(days=1)
"""No worker retries a batch of counts for so long."""


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return what is older than `KEYPORTAL_USAGE_DAYS`, under its name for operators. Times are the database's own."""
    cutoff = Now() - timedelta(days=settings.KEYPORTAL_USAGE_DAYS)
    return {
        "usage": Usage.objects.filter(hour__lt=cutoff),
        "addresses": SourceAddress.objects.filter(last_at__lt=cutoff),
        "usage batches": UsageBatch.objects.filter(at__lt=Now() - RETRIED_FOR),
    }
