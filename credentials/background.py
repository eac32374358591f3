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

from credentials.runtime.quiet import Quiet
from credentials.usage.flusher import flush_usage
from credentials.verified_cache.freshness import freshness
from integrity.key_check import RingMisfitError, confirm_rings

logger = logging.getLogger(__name__)

ROUNDS_AT_EXIT: Final = 2
"""The first writes the batch that is waiting, the second the counts after it."""


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A task that is run again and again. It returns False if it has failed and said so; other errors are logged."""

    name: str
    """For metrics and the log."""
    run: Callable[[], object]
    every: float = 0.0
    """The least number of seconds between two runs; 0 for every round."""
    at_exit: bool = False
    uses_database: bool = True
    """Whether it is left out while the database can't be reached."""


@dataclass
class TaskRuns:
    """What is known of the runs of a task in this process."""

    succeeded_at: float
    """When one last ended well, by the monotonic clock; before that, when the process began to run it."""
    seconds: float = 0.0
    """How long the last one took."""
    failures: int = 0

    @property
    def age(self) -> float:
        """Seconds since one ended well."""
        return time.monotonic() - self.succeeded_at


TASKS: Final = [PeriodicTask("usage", flush_usage, at_exit=True)]
"""The tasks, in their order. The portal adds its own (`keyportal.periodic_tasks`)."""


class BackgroundThread:
    """Runs the tasks that are due, every `KEYPORTAL_USAGE_FLUSH` seconds."""

    def __init__(self) -> None:
        self.reaches_database = True
        """Whether the last round reached it."""
        self.unreachable = 0
        """Rounds that did not."""
        self._runs: dict[str, TaskRuns] = {}
        self._due: dict[PeriodicTask, float] = {}
        self._quiet = Quiet()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, if this process has none yet and KEYPORTAL_USAGE_FLUSH is not 0."""
        if self._thread is None and settings.KEYPORTAL_USAGE_FLUSH:
            with self._starting:
                if self._thread is None:
                    self._runs = {task.name: TaskRuns(time.monotonic()) for task in TASKS}
                    self._thread = threading.Thread(target=self._run, name="keyportal-background", daemon=True)
                    self._thread.start()
                    # Runs at the end of every process; `atexit` does not run in one that multiprocessing forked.
                    Finalize(None, self._finish, exitpriority=1)

    def runs(self) -> dict[str, TaskRuns]:
        """Return what is known of each task's runs."""
        return dict(self._runs)

    def round(self, tasks: list[PeriodicTask]) -> None:
        """Run these tasks, one after the other; without those that use the database if it can't be reached."""
        reached, self.reaches_database = self.reaches_database, self._can_query()
        if self.reaches_database and not reached:
            logger.warning("the database can be reached again")
        self.unreachable += not self.reaches_database
        for task in tasks:
            if self.reaches_database or not task.uses_database:
                self._run_task(task)

    def _run(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(settings.KEYPORTAL_USAGE_FLUSH)
            now = time.monotonic()
            due = [task for task in TASKS if self._due.get(task, 0.0) <= now]
            self._due.update((task, now + task.every) for task in due)
            self.round(due)

    def _finish(self) -> None:
        for _ in range(ROUNDS_AT_EXIT):
            self.round([task for task in TASKS if task.at_exit])

    def _run_task(self, task: PeriodicTask) -> None:
        runs = self._runs.setdefault(task.name, TaskRuns(time.monotonic()))
        began = time.monotonic()
        try:
            has_succeeded = task.run() is not False
        except Exception:  # a thread that ended would never run any task again
            has_succeeded = False
            logger.exception("a periodic task failed: %s", task.name)
        runs.seconds = time.monotonic() - began
        if has_succeeded:
            runs.succeeded_at = time.monotonic()
        else:
            runs.failures += 1

    def _can_query(self) -> bool:
        """Make sure that this thread has the current database open; return whether it can be reached."""
        try:
            close_old_connections()
            freshness().open_current()
            confirm_rings()  # each time: rows of another host would look forged without the key that it writes with
        except RingMisfitError as error:
            if self._quiet.is_due(str(error)):
                logger.warning("usage is waiting for matching key rings: %s", error)
            return False
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            if self._quiet.is_due(str(error)):
                logger.warning("the database can't be reached: %s", error)  # the log has its reason
            return False
        except Exception:  # a thread that ended would never run any task again
            logger.exception("the database can't be followed")
            return False
        return True


@cache
def background() -> BackgroundThread:
    """Return the background thread of this process."""
    return BackgroundThread()


os.register_at_fork(after_in_child=background.cache_clear)
