"""Threads for what may block, bounded: who finds all of them busy, and the places to wait taken, is told at once."""

import logging
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

logger = logging.getLogger(__name__)


class _Job(NamedTuple):
    task: Callable[[Any], Any]
    given: Any
    done: Callable[[Any], None]


class Threads:
    """Some threads and a short queue, for one kind of work. Everything but the work is the event loop's."""

    def __init__(self, name: str, *, threads: int, queue: int) -> None:
        self.name = name
        self.inside = 0
        """How many jobs run or wait."""
        self.refused = 0
        """How many there was no place for."""
        self._threads: Final = threads
        self._most: Final = threads + queue
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._loop: AbstractEventLoop | None = None

    def start(self, loop: AbstractEventLoop) -> None:
        """Work for this loop from now on. The threads themselves begin when they are needed."""
        self._loop = loop

    def take(self, task: Callable[[Any], Any], given: Any, done: Callable[[Any], None]) -> bool:
        """Have a task done, and tell `done` in the loop what came out: None if it broke. False if there is no place."""
        if self.inside >= self._most:
            self.refused += 1
            return False
        self.inside += 1
        if self._started < self._threads:
            self._started += 1
            threading.Thread(target=self._work, name=f"keyportal-{self.name}-{self._started}", daemon=True).start()
        self._jobs.put(_Job(task, given, done))
        return True

    def _work(self) -> None:
        while True:
            task, given, done = self._jobs.get()
            result = None
            try:
                result = task(given)
            except Exception:  # a thread that ended would never work again
                logger.exception("a request broke")
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._leave, done, result)

    def _leave(self, done: Callable[[Any], None], result: Any) -> None:
        self.inside -= 1
        done(result)
