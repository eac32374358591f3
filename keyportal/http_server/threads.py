"""A bounded pool of threads for work that may block. If all are busy and the queue is full, it says so at once."""

import logging
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

logger = logging.getLogger(__name__)


class _Job(NamedTuple):
    task: Callable[[Any], Any]
    argument: Any
    done: Callable[[Any], None]


class Threads:
    """Some threads and a short queue for one kind of work. Everything but the work itself runs in the event loop."""

    def __init__(self, name: str, *, threads: int, queue: int) -> None:
        self.name = name
        self.in_progress = 0
        """The number of jobs that run or wait."""
        self.refused = 0
        """The number of jobs for which there was no place."""
        self._threads: Final = threads
        self._max_jobs: Final = threads + queue
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._loop: AbstractEventLoop | None = None

    def start(self, loop: AbstractEventLoop) -> None:
        """Set the loop that gets the results. The threads themselves start when they are needed."""
        self._loop = loop

    def submit(self, task: Callable[[Any], Any], argument: Any, done: Callable[[Any], None]) -> bool:
        """Queue a task; return False if there is no place.

        `done` is called in the loop with the task's result, or None if it failed.
        """
        if self.in_progress >= self._max_jobs:
            self.refused += 1
            return False
        self.in_progress += 1
        if self._started < self._threads:
            self._started += 1
            threading.Thread(target=self._work, name=f"keyportal-{self.name}-{self._started}", daemon=True).start()
        self._jobs.put(_Job(task, argument, done))
        return True

    def _work(self) -> None:
        while True:
            task, argument, done = self._jobs.get()
            result = None
            try:
                result = task(argument)
            except Exception:  # a thread that ended would never work again
                logger.exception("a request failed")
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._finish, done, result)

    def _finish(self, done: Callable[[Any], None], result: Any) -> None:
        self.in_progress -= 1
        done(result)
