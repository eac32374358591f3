"""How many keys and secrets are about to end, for metrics: one query each."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from apikeys.models import APIKey, KeySecret
from credentials.usage.models import SourceAddress

PERIODS: Final[Mapping[str, timedelta]] = {"7d": timedelta(days=7), "30d": timedelta(days=30)}


def expiring_keys() -> dict[str, int]:
    """Return how many keys that are neither revoked nor expired expire within each of `PERIODS`."""
    now = timezone.now()
    keys = APIKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lte=now + max(PERIODS.values()))
    counts = {within: Count("pk", filter=Q(expires_at__lte=now + period)) for within, period in PERIODS.items()}
    found: dict[str, Any] = keys.aggregate(**{f"within_{within}": count for within, count in counts.items()})
    return {within: found[f"within_{within}"] for within in PERIODS}


def former_secrets() -> tuple[int, int]:
    """Return how many former secrets are accepted until their overlap ends, and how many of them have been used."""
    uses = SourceAddress.objects.filter(credential=OuterRef("key_id"), secret=OuterRef("pk"))
    used = Exists(uses.filter(last_at__gte=OuterRef("replaced_at")))
    former = KeySecret.objects.filter(retires_at__gt=timezone.now(), key__revoked_at=None)
    found = former.aggregate(count=Count("pk"), used=Count("pk", filter=used))
    return found["count"], found["used"]
