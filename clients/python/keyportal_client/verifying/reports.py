"""The calls that a verifier judged itself, counted in memory until the portal has stored them."""

import secrets
import threading
from collections import deque
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

ACCEPTED: Final = "accepted"
MAX_ENTRIES: Final = 200
"""Of a batch."""
MAX_CALLS: Final = 1000
"""After this many calls, they are summed up."""
MAX_COUNTERS: Final = 50_000
"""From this many on, addresses are not told apart until the next batch."""
HOUR: Final = 3600
MAX_HOURS: Final = 22
"""Hours after which a count is dropped. The portal takes none that is older than 23, nor what is sent with it."""


class Calls(NamedTuple):
    """Calls that agree in all of this are counted together."""

    hour: int
    """Hours since 1970."""
    outcome: str
    credential: str
    secret: str
    address: str


class Reports:
    """Counts calls, and keeps a batch until it is stored. Thread-safe."""

    def __init__(self, entry_point: str) -> None:
        self._entry_point = entry_point
        self._lock = threading.Lock()
        self._calls: deque[tuple[int, str, str, str, str]] = deque()
        """What has not been summed up yet: to note a call is all that a request waits for."""
        self._counts: dict[tuple[int, str, str, str, str], int] = {}
        self._batch: dict[str, Any] | None = None

    def count(self, at: float, outcome: str, credential: str, secret: str = "", address: str = "") -> None:
        """Count one call. `at` is in seconds since 1970, by the portal's clock."""
        self._calls.append((int(at // HOUR), outcome, credential, secret, address))
        if len(self._calls) >= MAX_CALLS:
            with self._lock:
                self._sum_up()

    def batch(self, at: float) -> dict[str, Any] | None:
        """Return the batch to send now, the same one until it is stored; None if nothing was counted."""
        with self._lock:
            self._sum_up()
            self._drop_before(int(at // HOUR) - MAX_HOURS)
            if self._batch is None:
                chosen = list(self._counts)[:MAX_ENTRIES]
                entries = [self._entry(Calls(*calls), self._counts.pop(calls)) for calls in chosen]
                self._batch = {"batch": secrets.token_urlsafe(24), "calls": entries} if entries else None
            return self._batch

    def stored(self) -> None:
        """Forget the batch: the portal has stored it, or will never take it."""
        with self._lock:
            self._batch = None

    def _sum_up(self) -> None:
        counts = self._counts
        for calls in [self._calls.popleft() for _ in range(len(self._calls))]:
            kept = calls if len(counts) < MAX_COUNTERS else (*calls[:-1], "")
            counts[kept] = counts.get(kept, 0) + 1

    def _drop_before(self, hour: int) -> None:
        for calls in [calls for calls in self._counts if calls[0] < hour]:
            del self._counts[calls]

    def _entry(self, calls: Calls, count: int) -> dict[str, Any]:
        hour = datetime.fromtimestamp(calls.hour * HOUR, timezone.utc)
        entry: dict[str, Any] = {
            "credential": calls.credential,
            "entry_point": self._entry_point,
            "outcome": calls.outcome,
            "hour": hour.strftime("%Y-%m-%dT%H:00:00Z"),
            "count": count,
        }
        if calls.secret:
            entry["secret"] = calls.secret
        if calls.address:
            entry["addresses"] = [calls.address]
        return entry
