"""The load on the server of this process, for `keyportal.metrics.worker_files`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Load:
    """Counts since the process started, and current values."""

    verdicts_in_progress: int = 0
    """Requests that a thread is working on, or that wait for one."""
    others_in_progress: int = 0
    verdicts_refused: int = 0
    """Requests for which the queue had no place."""
    others_refused: int = 0
    late: int = 0
    """Requests whose deadline passed."""
    connections: int = 0
    dropped: int = 0
    """Connections that were dropped because there were too many."""
    body_bytes: int = 0
    """Bytes of unfinished requests."""


class Meter:
    """Reads the load of this process, once its server has started."""

    def __init__(self) -> None:
        self.read: Callable[[], Load] = Load


@cache
def meter() -> Meter:
    """Return the meter of this process."""
    return Meter()


os.register_at_fork(after_in_child=meter.cache_clear)
