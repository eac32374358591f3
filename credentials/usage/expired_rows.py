"""The counts and addresses that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now, TruncDate

from credentials.usage.models import AddressUsage, SourceAddress, Usage, UsageBatch

ADDRESS_DAYS: Final = 31
"""The days of calls by address: the last 30, and the one that ends meanwhile."""
CLOCKS_DIFFER: Final = timedelta(days=1)
"""By how much a host's clock may be ahead of the database's before its counts are taken for mistakes."""
BATCH_KNOWN_FOR: Final = timedelta(hours=26)
"""No batch is taken for so long: one of a verifier for 25 hours at most, and an hour more for clocks that differ."""


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return what is older than `KEYPORTAL_USAGE_DAYS`, under its name for operators. Times are the database's own.

    Also what a host with a wrong clock has counted for a later day: it would stay for years, as the last use. Calls by
    address are kept for a month at most: they say more about people than the other counts.
    """
    cutoff = Now() - timedelta(days=settings.KEYPORTAL_USAGE_DAYS)
    ahead = Now() + CLOCKS_DIFFER
    last_day = TruncDate(Now() - timedelta(days=min(ADDRESS_DAYS, settings.KEYPORTAL_USAGE_DAYS)))
    return {
        "usage": Usage.objects.filter(Q(hour__lt=cutoff) | Q(hour__gt=ahead)),
        "addresses": SourceAddress.objects.filter(Q(last_at__lt=cutoff) | Q(last_at__gt=ahead)),
        "calls by address": AddressUsage.objects.filter(Q(day__lt=last_day) | Q(day__gt=TruncDate(ahead))),
        "usage batches": UsageBatch.objects.filter(at__lt=Now() - BATCH_KNOWN_FOR),
    }
