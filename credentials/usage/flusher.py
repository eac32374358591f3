"""Flush usage counts from memory to the database every few seconds and at exit, never twice.

Each batch has an id, which the transaction that adds the batch stores. If the answer to a commit is lost, the same
batch is sent again and recognised. Calls counted meanwhile wait for the next batch.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError, DataError, InterfaceError, close_old_connections, connection

from audit.client_address import Address
from credentials.runtime.database_writes import database_writes
from credentials.usage.counters import CallCount, CounterKey, usage_counters
from credentials.usage.services import add_usage
from credentials.verified_cache.freshness import freshness

logger = logging.getLogger(__name__)

TRIES_AT_EXIT: Final = 2
LONGEST: Final = 60.0
"""Seconds without a write after which an empty batch is written, to find out whether the database takes writes."""


class Batch(NamedTuple):
    """Counts that are added in one transaction."""

    id: str
    calls: Mapping[CounterKey, CallCount]


@dataclass
class PeriodicTask:
    """A periodic task that the flusher's thread runs as well."""

    call: Callable[[], object]
    every: float
    """The least number of seconds between two runs."""
    at_exit: bool
    due: float = 0.0


class Flusher:
    """The thread and the queue that write the counts of this process to the database, one batch at a time, in order."""

    def __init__(self) -> None:
        self.tasks: list[PeriodicTask] = []
        self._flushed_at = self._wrote_at = time.monotonic()
        self._batch: Batch | None = None
        self._flushing = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the flushing thread, if this process has none yet and KEYPORTAL_USAGE_FLUSH is not 0."""
        if self._thread is None and settings.KEYPORTAL_USAGE_FLUSH:
            with self._starting:
                if self._thread is None:
                    self._flushed_at = time.monotonic()
                    self._thread = threading.Thread(target=self._run, name="keyportal-usage", daemon=True)
                    self._thread.start()
                    # Runs at the end of every process; `atexit` does not run in one that multiprocessing forked.
                    Finalize(None, self._finish, exitpriority=1)

    @property
    def lag(self) -> float:
        """The seconds since the last flush, up to which all counts are in the database; 0 before the first count."""
        return time.monotonic() - self._flushed_at if self._thread else 0.0

    def flush(self) -> None:
        """Write the counts so far. Raises `django.db.Error`; the batch is then retried at the next flush."""
        with self._flushing:
            began = time.monotonic()
            if self._batch is None:
                self._batch = Batch(secrets.token_hex(16), usage_counters.take())
            if self._batch.calls or database_writes.fault or began - self._wrote_at > LONGEST:
                self._add(self._batch)
                self._wrote_at = began
            self._batch = None
            self._flushed_at = began

    def _add(self, batch: Batch) -> None:
        try:
            add_usage(batch_id=batch.id, calls=batch.calls)
            database_writes.worked()
        except DataError:
            # The batch would be refused every time, and all later ones would wait for ever.
            logger.exception("a batch of %d counts can't be written and is dropped", len(batch.calls))
        except DatabaseError as error:
            database_writes.note(error)
            raise

    def _run(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(settings.KEYPORTAL_USAGE_FLUSH)
            self._try()
            now = time.monotonic()
            for task in self.tasks:
                if task.due <= now:
                    task.due = now + task.every
                    self._do(task)

    def _try(self) -> bool:
        try:
            close_old_connections()
            freshness.follow()
            self.flush()
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            logger.warning("usage is waiting to be written: %s", error)  # the log names its class and code
            return False
        except Exception:  # a thread that ended would never write again
            logger.exception("usage can't be written")
            return False
        return True

    def _finish(self) -> None:
        """Write what is left when the process ends: the batch that is waiting, and the counts after it."""
        for _ in range(TRIES_AT_EXIT):
            self._try()
        for task in self.tasks:
            if task.at_exit:
                self._do(task)

    def _do(self, task: PeriodicTask) -> None:
        try:
            task.call()
        except Exception:  # a thread that ended would never write again
            logger.exception("a periodic task failed")


flusher = Flusher()


def count_call(
    door: str,
    outcome: str,
    seconds: float,
    *,
    credential: str = "",
    secret: str = "",
    address: Address | None = None,
) -> None:
    """Count a verdict in memory, and make sure that the flusher runs."""
    usage_counters.count(door, outcome, seconds, credential=credential, secret=secret, address=address)
    flusher.start()


def _begin_anew() -> None:
    """Start over in a forked process, which inherits no threads."""
    tasks = flusher.tasks
    flusher.__init__()  # type: ignore[misc]  # other modules hold this object
    flusher.tasks = tasks


os.register_at_fork(after_in_child=_begin_anew)
