"""Count the polls of the change feed, and which services' keys they came with."""

import os
from functools import cache
from hashlib import blake2b
from typing import Final

from credentials.verified_cache import clock

RECENT: Final = 60.0
"""Seconds for which a service counts as one that polls."""


class FeedPolls:
    """The polls that this process has answered."""

    def __init__(self) -> None:
        self.count = 0
        self._polled_at: dict[str, float] = {}
        """When each service's key was last seen; there are as many as keys with the scope `credentials:verify`."""

    def add(self, caller: str) -> None:
        """Count a poll of the service with this key."""
        self.count += 1
        self._polled_at[caller] = clock.now()

    def recent_callers(self) -> list[str]:
        """Return a digest of each service's key that was seen recently: workers compare them, and nobody else."""
        since = clock.now() - RECENT
        return [
            blake2b(key.encode(), digest_size=8).hexdigest() for key, at in list(self._polled_at.items()) if at > since
        ]


@cache
def feed_polls() -> FeedPolls:
    """Return the polls of this process."""
    return FeedPolls()


os.register_at_fork(after_in_child=feed_polls.cache_clear)
