"""Usage counters in memory: calls of each credential and the time they took, without a write during the request.

`credentials.usage.flusher` writes the counts to the database. A process that is killed loses the counts that it has not
written yet, and nothing else.
"""

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from audit.client_address import Address

ACCEPTED: Final = "accepted"
BOUNDS: Final = (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5)
"""Upper bounds of the histogram's buckets, in seconds."""
HOUR: Final = 3600
MAX_COUNTERS: Final = 200_000
"""From this many entries on, addresses are not told apart until the next flush."""


class CounterKey(NamedTuple):
    """The key of a counter: calls that agree in all of this are counted together."""

    hour: int
    """Hours since 1970."""
    entry_point: str
    outcome: str
    """`accepted`, or the code of the refusal."""
    credential: str
    secret: str
    address: Address | None


class CallCount:
    """The number of calls counted together, and the times of the first and the last in seconds since 1970."""

    __slots__ = ("count", "first", "last")

    def __init__(self, at: float) -> None:
        self.count = 0
        self.first = at
        self.last = at


@dataclass
class Durations:
    """The durations of verdicts at one entry point with one outcome: a histogram over `BOUNDS`, and their sum."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


class UsageCounters:
    """The counts since the last `drain`. Thread-safe."""

    def __init__(self) -> None:
        self.durations: dict[tuple[str, str], Durations] = {}
        """By entry point and outcome, since the process began."""
        self._calls: dict[tuple[int, str, str, str, str, Address | None], CallCount] = {}
        self._lock = threading.Lock()

    def count(
        self,
        entry_point: str,
        outcome: str,
        seconds: float,
        *,
        credential: str = "",
        secret: str = "",
        address: Address | None = None,
    ) -> None:
        """Count a verdict that took so many seconds; without a credential of ours, by entry point and outcome only."""
        now = time.time()
        with self._lock:
            durations = self.durations.get((entry_point, outcome))
            if durations is None:
                durations = self.durations[entry_point, outcome] = Durations()
            durations.buckets[bisect_left(BOUNDS, seconds)] += 1
            durations.seconds += seconds
            if credential:
                if len(self._calls) >= MAX_COUNTERS:
                    address = None
                key = (int(now // HOUR), entry_point, outcome, credential, secret, address)
                calls = self._calls.get(key)
                if calls is None:
                    calls = self._calls[key] = CallCount(now)
                calls.count += 1
                calls.last = now

    def drain(self) -> Mapping[CounterKey, CallCount]:
        """Return the counts by credential, and start over."""
        with self._lock:
            drained, self._calls = self._calls, {}
        return {CounterKey(*key): calls for key, calls in drained.items()}


@cache
def usage_counters() -> UsageCounters:
    """Return the counters of this process. What was counted before a fork is written by the parent."""
    return UsageCounters()


os.register_at_fork(after_in_child=usage_counters.cache_clear)
