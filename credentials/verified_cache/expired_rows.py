"""The recorded changes that are no longer needed, for the purge."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet, Subquery

from credentials.verified_cache.change_log import KEPT
from credentials.verified_cache.models import RecordedChange


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return all but the newest changes, under their name for operators. On PostgreSQL there are none."""
    newest = RecordedChange.objects.order_by("-n").values("n")[:1]
    return {"recorded changes": RecordedChange.objects.filter(n__lte=Subquery(newest) - KEPT)}
