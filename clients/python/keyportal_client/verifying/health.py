"""Whether the portal can be asked at the moment, as the questions of this process have found it."""

import math

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying.breaker import Breaker
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.fault_log import FaultLog


class PortalHealth:
    """What questions find, for the next ones and for the log. Thread-safe."""

    def __init__(self, *, now: Clock) -> None:
        self.faults = FaultLog(now=now)
        self._breaker = Breaker(now=now)

    @property
    def is_away(self) -> bool:
        """Whether the last question was not answered."""
        return self._breaker.is_open

    def wait(self) -> int:
        """Return for how many seconds not to ask; 0 for who may ask, and must say how that ended."""
        return math.ceil(self._breaker.wait())

    def succeed(self) -> None:
        """Note that the portal has answered as it should."""
        self._breaker.succeed()
        self.faults.succeed()

    def fail(self, error: PortalAwayError) -> None:
        """Note that it has not."""
        self.faults.note(str(error))
        if error.pause:
            self._breaker.fail(error.pause)
        else:
            self._breaker.succeed()  # it is there

    def give_up(self) -> None:
        """Note that a question has ended without finding out."""
        self._breaker.give_up()
