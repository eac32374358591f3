"""The calls that a verifier judged itself, counted in memory until the portal has stored them."""

import secrets
import threading
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

ACCEPTED: Final = "accepted"
MAX_ENTRIES: Final = 200
"""Of a batch."""
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
        self._counts: dict[tuple[int, str, str, str, str], int] = {}
        self._batch: dict[str, Any] | None = None

    def count(self, at: float, outcome: str, credential: str, secret: str = "", address: str = "") -> None:
        """Count one call. `at` is in seconds since 1970, by the portal's clock."""
        with self._lock:
            counts = self._counts
            if len(counts) >= MAX_COUNTERS:
                address = ""
            calls = (int(at // HOUR), outcome, credential, secret, address)
            counts[calls] = counts.get(calls, 0) + 1

    def batch(self, at: float) -> dict[str, Any] | None:
        """Return the batch to send now, the same one until it is stored; None if nothing was counted."""
        with self._lock:
            if self._batch is None:
                self._drop_before(int(at // HOUR) - MAX_HOURS)
                chosen = list(self._counts)[:MAX_ENTRIES]
                entries = [self._entry(Calls(*calls), self._counts.pop(calls)) for calls in chosen]
                self._batch = {"batch": secrets.token_urlsafe(24), "calls": entries} if entries else None
            return self._batch

    def stored(self) -> None:
        """Forget the batch: the portal has stored it, or will never take it."""
        with self._lock:
            self._batch = None

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
