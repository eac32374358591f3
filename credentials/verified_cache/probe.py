"""A probe for where new connections lead. It has its own thread, because connecting would delay the listener."""

import logging
import threading
from contextlib import closing
from functools import partial
from typing import Final

import psycopg

from credentials.verified_cache import clock
from credentials.verified_cache.connections import request_parameters
from credentials.verified_cache.lease import Lease

logger = logging.getLogger(__name__)

PAUSE: Final = 5.0  # seconds between two connections
ANSWER_WITHIN: Final = 5.0  # seconds for an answer: a probe that waited for ever would block all later ones


class Probe:
    """A probe that makes a new connection every `PAUSE` seconds. The threads of a quiet worker keep their old ones."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._due = clock.now() + PAUSE
        self._under_way = threading.Lock()

    def begin_when_due(self) -> None:
        """Start a probing thread, unless it is too early or another one is still running."""
        if clock.now() < self._due or not self._under_way.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._compare, name="keyportal-probe", daemon=True).start()
        except RuntimeError:  # the process has reached its limit of threads
            logger.warning("no thread can be started to make a new connection to the database")
            self._end()

    def _compare(self) -> None:
        """Compare a new connection with the listener's; `Lease.compare` acts on the result."""
        database = self._lease.database  # read before connecting: the connection need not agree with a later one
        try:
            with closing(psycopg.connect(**request_parameters(), autocommit=True)) as new:
                new.wait = partial(new.wait, timeout=ANSWER_WITHIN)  # type: ignore[method-assign]
                self._lease.compare(new, database)
        except (psycopg.Error, OSError) as error:
            logger.warning("no new connection to the database can be made: %s", error)  # the log has its reason
        finally:
            self._end()

    def _end(self) -> None:
        self._due = clock.now() + PAUSE
        self._under_way.release()
