"""Count the requests that Django answers, by kind of path and class of status, with how long they took."""

import os
import threading
from bisect import bisect_left
from collections import Counter
from functools import cache
from typing import Final

from keyportal.metrics.metric import Labels

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets, in seconds."""
PAGE: Final = "page"
KINDS: Final = (
    ("/api/", "api"),
    ("/oauth/", "oauth"),
    ("/.well-known/", "published"),
    ("/gateway/", "gateway"),
    ("/healthz", "monitoring"),
    ("/readyz", "monitoring"),
    ("/metrics", "monitoring"),
    ("/admin/", "admin"),
    ("/static/", "static"),
)
"""Prefixes of paths and what they are called; every other path is a page."""


def kind_of(path: str) -> str:
    """Return the kind of a path: one of a few, whatever clients send."""
    return next((kind for prefix, kind in KINDS if path.startswith(prefix)), PAGE)


class HTTPRequests:
    """The requests of this process since it began. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[Labels] = Counter()
        self._durations: dict[Labels, list[float]] = {}
        self._lock = threading.Lock()

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        kind = kind_of(path)
        with self._lock:
            self._counts[kind, f"{status // 100}xx"] += 1
            buckets = self._durations.setdefault((kind,), [0] * (len(BOUNDS) + 2))
            buckets[bisect_left(BOUNDS, seconds)] += 1
            buckets[-1] += seconds

    def counts(self) -> dict[Labels, int]:
        """Return how many there were, by kind and class of status."""
        with self._lock:
            return dict(self._counts)

    def durations(self) -> dict[Labels, list[float]]:
        """Return the counts of the buckets, with the sum of seconds last, by kind."""
        with self._lock:
            return {kind: list(buckets) for kind, buckets in self._durations.items()}


@cache
def http_requests() -> HTTPRequests:
    """Return the requests of this process."""
    return HTTPRequests()


os.register_at_fork(after_in_child=http_requests.cache_clear)
