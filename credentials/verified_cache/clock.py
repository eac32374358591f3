"""The clock that measures leases and cache ages: monotonic seconds from an arbitrary start.

It keeps running while the machine sleeps, and does not follow the wall clock when that is set.
"""

import time
from functools import partial

now = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Return the seconds since this clock's arbitrary start."""
