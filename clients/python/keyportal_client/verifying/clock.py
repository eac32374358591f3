"""The clock that measures leases and the ages of records: seconds from an arbitrary start.

It keeps running while the machine sleeps, and does not follow the wall clock when that is set.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

Clock = Callable[[], float]


def _clock() -> Clock:
    """Return the clock of this system that counts sleep too: Python's own does so neither on Linux nor on macOS."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return time.monotonic


now: Final[Clock] = _clock()
"""Return the seconds since this clock's arbitrary start."""
