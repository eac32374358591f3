"""Flush usage counts from memory to the database, never twice.

Each batch has an id, which the transaction that adds the batch stores. If the answer to a commit is lost, the same
batch is sent again and recognised. Calls counted meanwhile wait for the next batch.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from django.db import DatabaseError, DataError, InterfaceError, connection

from credentials.runtime.database_writes import database_writes
from credentials.runtime.quiet import Quiet
from credentials.usage.counters import CallCount, CounterKey, usage_counters
from credentials.usage.services import add_usage

logger = logging.getLogger(__name__)

MAX_SILENCE: Final = 60.0
"""Seconds without a write after which an empty batch is written, to find out whether the database takes writes."""


_quiet: Final = Quiet()


class Batch(NamedTuple):
    """Counts that are added in one transaction."""

    id: str
    calls: Mapping[CounterKey, CallCount]


class Flusher:
    """Writes the counts of this process to the database, one batch at a time, in order."""

    def __init__(self) -> None:
        self._flushed_at = self._wrote_at = time.monotonic()
        self._batch: Batch | None = None
        self._flushing = threading.Lock()

    @property
    def lag(self) -> float:
        """The seconds since the last flush, up to which all counts are in the database."""
        return time.monotonic() - self._flushed_at

    def flush(self) -> None:
        """Write the counts so far. Raises `django.db.Error`; the batch is then retried at the next flush."""
        with self._flushing:
            began = time.monotonic()
            if self._batch is None:
                self._batch = Batch(secrets.token_hex(16), usage_counters().drain())
            if self._batch.calls or database_writes().fault or began - self._wrote_at > MAX_SILENCE:
                self._add(self._batch)
                self._wrote_at = began
            self._batch = None
            self._flushed_at = began

    def _add(self, batch: Batch) -> None:
        try:
            add_usage(batch_id=batch.id, calls=batch.calls)
            database_writes().on_success()
        except DataError:
            # The batch would be refused every time, and all later ones would wait for ever.
            logger.exception("a batch of %d counts can't be written and is dropped", len(batch.calls))
        except DatabaseError as error:
            database_writes().on_error(error)
            raise


@cache
def flusher() -> Flusher:
    """Return the flusher of this process."""
    return Flusher()


os.register_at_fork(after_in_child=flusher.cache_clear)


def flush_usage() -> bool:
    """Write the counts so far; return False if the database is away. Then they wait, and the log says so."""
    try:
        flusher().flush()
    except (DatabaseError, InterfaceError) as error:
        connection.close()
        if _quiet.is_due(str(error)):
            logger.warning("usage is waiting to be written: %s", error)  # the log has its reason
        return False
    return True
