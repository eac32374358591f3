"""The clock that measures leases and the ages of records: seconds from an arbitrary start.

It keeps running while the machine sleeps, and does not follow the wall clock when that is set.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

Clock = Callable[[], float]

now: Final[Clock] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Return the seconds since this clock's arbitrary start."""
