"""The clock by which trust is measured: seconds from some beginning, forwards only.

It goes on while a machine sleeps, and does not follow the wall clock when somebody sets it.
"""

import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Return the seconds since the beginning of this clock."""
    return time.clock_gettime(_CLOCK)
