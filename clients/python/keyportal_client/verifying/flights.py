"""Questions about a credential that are on their way: who needs the same answer waits for it instead of asking too."""

import threading
from concurrent.futures import Future
from typing import Final, TypeAlias

from keyportal_client.refusals import Refusal
from keyportal_client.verifying.record import Record

SharedAnswer: TypeAlias = Record | Refusal | None
"""What others can use of an answer: a record that was kept, or that the portal can't say. None: they have to ask."""
Flight: TypeAlias = Future[SharedAnswer]
RECENT: Final = 1.0
"""Seconds for which a question may have been on its way when its answer is used by who came later."""


class SingleFlight:
    """The questions of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[bytes, Flight] = {}

    def join(self, digest: bytes) -> tuple[Flight, bool]:
        """Return the question about this credential, and whether the caller is the one to ask it, and to `land` it."""
        with self._lock:
            flight = self._flights.get(digest)
            if flight is not None:
                return flight, False
            flight = self._flights[digest] = Flight()
            return flight, True

    def land(self, digest: bytes, landed: SharedAnswer) -> None:
        """End a question, and give those who wait what they can use."""
        with self._lock:
            flight = self._flights.pop(digest)
        flight.set_result(landed)
