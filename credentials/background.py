"""The background thread of a process, which runs its periodic tasks: usage is written, and whatever the portal adds.

It starts with the first verdict that is counted, so that a process that only uses the authentication classes has it
too.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing.util import Finalize
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from credentials.usage.flusher import flush_usage
from credentials.verified_cache.freshness import freshness
from integrity.key_check import RingMisfitError, confirm_rings

logger = logging.getLogger(__name__)

ROUNDS_AT_EXIT: Final = 2
"""The first writes the batch that is waiting, the second the counts after it."""


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A task that is run again and again. It handles its own errors; others are logged."""

    run: Callable[[], object]
    every: float = 0.0
    """The least number of seconds between two runs; 0 for every round."""
    at_exit: bool = False
    uses_database: bool = True
    """Whether it is left out while the database can't be reached."""


TASKS: Final = [PeriodicTask(flush_usage, at_exit=True)]
"""The tasks, in their order. The portal adds its own (`keyportal.periodic_tasks`)."""


class BackgroundThread:
    """Runs the tasks that are due, every `KEYPORTAL_USAGE_FLUSH` seconds."""

    def __init__(self) -> None:
        self._due: dict[PeriodicTask, float] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, if this process has none yet and KEYPORTAL_USAGE_FLUSH is not 0."""
        if self._thread is None and settings.KEYPORTAL_USAGE_FLUSH:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="keyportal-background", daemon=True)
                    self._thread.start()
                    # Runs at the end of every process; `atexit` does not run in one that multiprocessing forked.
                    Finalize(None, self._finish, exitpriority=1)

    def _run(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(settings.KEYPORTAL_USAGE_FLUSH)
            now = time.monotonic()
            due = [task for task in TASKS if self._due.get(task, 0.0) <= now]
            self._due.update((task, now + task.every) for task in due)
            _round(due)

    def _finish(self) -> None:
        for _ in range(ROUNDS_AT_EXIT):
            _round([task for task in TASKS if task.at_exit])


@cache
def background() -> BackgroundThread:
    """Return the background thread of this process."""
    return BackgroundThread()


os.register_at_fork(after_in_child=background.cache_clear)


def _round(tasks: list[PeriodicTask]) -> None:
    can_query = _can_query()
    for task in tasks:
        if can_query or not task.uses_database:
            try:
                task.run()
            except Exception:  # a thread that ended would never run any task again
                logger.exception("a periodic task failed")


def _can_query() -> bool:
    """Make sure that this thread has the current database open; return whether it can be reached."""
    try:
        close_old_connections()
        freshness().open_current()
        confirm_rings()  # each time: rows of another host would look forged without the key that it writes with
    except RingMisfitError as error:
        logger.warning("usage is waiting for matching key rings: %s", error)
        return False
    except (DatabaseError, InterfaceError) as error:
        connection.close()
        logger.warning("usage is waiting to be written: %s", error)  # the log names its class and code
        return False
    except Exception:  # a thread that ended would never run any task again
        logger.exception("the database can't be followed")
        return False
    return True
