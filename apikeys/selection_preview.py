"""What would stop if the keys of a selection were revoked now."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Sum
from django.utils import timezone

from apikeys.models import APIKey
from apikeys.selection import KeySelection
from credentials.usage.models import Usage

MOST_USED: Final = 10


@dataclass(frozen=True, slots=True)
class UsedKey:
    """One of the most used keys."""

    key: APIKey
    calls: int

    def members(self) -> dict[str, Any]:
        """Return it as JSON."""
        key = self.key
        about = {"id": key.pk, "name": key.name, "environment": key.environment, "owner": key.owner_id}
        return {**about, "email": key.owner.email, "calls": self.calls}


@dataclass(frozen=True, slots=True)
class Preview:
    """How much a selection holds, and how it was used in the last 24 hours."""

    keys: int
    owners: int
    calls: int
    most_used: tuple[UsedKey, ...]

    def members(self) -> dict[str, Any]:
        """Return it as JSON."""
        used = [used.members() for used in self.most_used]
        return {"keys": self.keys, "owners": self.owners, "calls_last_day": self.calls, "most_used": used}


def preview(selection: KeySelection) -> Preview:
    """Return what a selection holds now, in a handful of queries, however many keys there are."""
    keys = selection.keys()
    ids = keys.order_by().values("pk")
    recent = Usage.objects.filter(hour__gte=timezone.now() - timedelta(days=1), credential__in=ids)
    total: dict[str, int | None] = recent.aggregate(calls=Sum("count"))
    by_key = recent.values_list("credential").annotate(calls=Sum("count")).order_by("-calls", "credential")
    most = dict(by_key[:MOST_USED])
    rows = APIKey.objects.filter(pk__in=most).select_related("owner").in_bulk()
    used = tuple(UsedKey(rows[pk], calls) for pk, calls in most.items() if pk in rows)
    return Preview(keys.count(), keys.order_by().values("owner").distinct().count(), total["calls"] or 0, used)
