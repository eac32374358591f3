"""The clock that measures leases and cache ages: monotonic seconds from an arbitrary start.

It keeps running while the machine sleeps, and does not follow the wall clock when that is set.
"""

import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Return the seconds since this clock's arbitrary start."""
    return time.clock_gettime(_CLOCK)
