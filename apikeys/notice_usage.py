"""How much keys and former secrets are used, as notices say it. Each function reads many in a few queries."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from accounts.times import in_words
from apikeys.models import KeySecret
from apikeys.usage import RecentUsage, last_uses, recent_usage
from credentials.usage.models import SourceAddress, Usage


class NoticeUsage(NamedTuple):
    """The use of a key or secret."""

    recent: RecentUsage
    last_at: datetime | None
    """When it was last accepted; None for never."""

    @property
    def sentence(self) -> str:
        """The use in words, such as `It had 12 calls in the last 24 hours from 3 addresses, the last one on …`."""
        last = f"on {in_words(self.last_at)}" if self.last_at else ""
        if self.recent.calls:
            return f"It had {self.recent.words}, {f'last accepted {last}' if last else 'none of them accepted'}."
        return f"It was last used {last}." if last else "It has never been used."

    def is_used_since(self, at: datetime) -> bool:
        """Return whether it was accepted at or after that moment."""
        return self.last_at is not None and self.last_at >= at


def usage_of_keys(key_ids: Collection[str]) -> dict[str, NoticeUsage]:
    """Return the use of each key, that of its tokens included, in three queries."""
    recent, uses = recent_usage(key_ids), last_uses(key_ids)
    return {key_id: NoticeUsage(recent[key_id], max(uses[key_id].values(), default=None)) for key_id in key_ids}


def usage_of_secrets(secrets: Collection[KeySecret]) -> dict[str, NoticeUsage]:
    """Return the use of each secret, in two queries; calls are the accepted ones."""
    since = timezone.now() - timedelta(days=1)
    of_these = Q(credential__in=[secret.key_id for secret in secrets], secret__in=[secret.pk for secret in secrets])
    counted = Usage.objects.filter(of_these, hour__gte=since).values_list("secret").annotate(Sum("count")).order_by()
    calls: dict[str, int] = dict(counted)
    seen = SourceAddress.objects.filter(of_these).values_list("secret").order_by()
    places = seen.annotate(used_at=Max("last_at"), addresses=Count("address", filter=Q(last_at__gte=since)))
    uses = {secret: (used_at, addresses) for secret, used_at, addresses in places}
    return {
        secret.pk: NoticeUsage(RecentUsage(calls.get(secret.pk, 0), addresses), last_at)
        for secret in secrets
        for last_at, addresses in [uses.get(secret.pk, (None, 0))]
    }
