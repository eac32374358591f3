"""Counting in memory: what a credential was used for, and how long it took, without a write on the way of a request.

`credentials.usage` takes what has come together and writes it into the database. A process that is killed loses what
it has not yet written, and nothing else.
"""

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from credentials.client_address import Address

ACCEPTED: Final = "accepted"
BOUNDS: Final = (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5)
"""Upper ends of the classes of duration, in seconds."""
HOUR: Final = 3600
MANY: Final = 200_000
"""From so many different entries on, addresses are no longer told apart until the next flush."""


class Asked(NamedTuple):
    """What is counted together."""

    hour: int
    """Hours since 1970."""
    door: str
    outcome: str
    """`accepted`, or the code of the refusal."""
    credential: str
    secret: str
    address: Address | None


class Calls:
    """How many calls were counted together, and when the first and the last came; seconds since 1970."""

    __slots__ = ("count", "first", "last")

    def __init__(self, at: float) -> None:
        self.count = 0
        self.first = at
        self.last = at


@dataclass
class Durations:
    """How long the verdicts at one door with one outcome took: how many in each class of `BOUNDS`, and in all."""

    classes: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


class Tally:
    """What has been counted since it was last taken. Safe for threads."""

    def __init__(self) -> None:
        self.durations: dict[tuple[str, str], Durations] = {}
        """By door and outcome, since the process began."""
        self._calls: dict[tuple[int, str, str, str, str, Address | None], Calls] = {}
        self._lock = threading.Lock()

    def count(
        self,
        door: str,
        outcome: str,
        seconds: float,
        *,
        credential: str = "",
        secret: str = "",
        address: Address | None = None,
    ) -> None:
        """Count one verdict. What names no credential of ours is counted by door and outcome only."""
        now = time.time()
        with self._lock:
            durations = self.durations.get((door, outcome))
            if durations is None:
                durations = self.durations[door, outcome] = Durations()
            durations.classes[bisect_left(BOUNDS, seconds)] += 1
            durations.seconds += seconds
            if credential:
                if len(self._calls) >= MANY:
                    address = None
                asked = (int(now // HOUR), door, outcome, credential, secret, address)
                calls = self._calls.get(asked)
                if calls is None:
                    calls = self._calls[asked] = Calls(now)
                calls.count += 1
                calls.last = now

    def take(self) -> Mapping[Asked, Calls]:
        """Give what was counted by credential, and begin anew."""
        with self._lock:
            taken, self._calls = self._calls, {}
        return {Asked(*asked): calls for asked, calls in taken.items()}


tally = Tally()


def _begin_anew() -> None:
    """Leave what was counted before a fork to the parent, which counts it already."""
    tally.__init__()  # type: ignore[misc]  # the object is known by name elsewhere


os.register_at_fork(after_in_child=_begin_anew)
