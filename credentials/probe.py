"""Where new connections lead to, seen beside the listener: making one takes long enough to delay what it hears."""

import logging
import threading
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg

from credentials.lines import way_of_requests

if TYPE_CHECKING:
    from credentials.freshness import Freshness

logger = logging.getLogger(__name__)

PAUSE: Final = 5.0  # seconds between two connections
PATIENCE: Final = 5.0  # seconds for an answer: a thread that waited for ever would keep the next ones from looking


class Probe:
    """Makes a connection from time to time, while every thread of a quiet worker keeps its old one."""

    def __init__(self, freshness: "Freshness") -> None:
        self._freshness = freshness
        self._due = freshness.now() + PAUSE
        self._under_way = threading.Lock()

    def begin_when_due(self) -> None:
        """Start a thread that looks, unless it is too early or another one is looking still."""
        if self._freshness.now() < self._due or not self._under_way.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._look, name="keyportal-probe", daemon=True).start()
        except RuntimeError:  # the process may have no more of them
            logger.warning("no thread can be started to make a new connection to the database")
            self._end()

    def _look(self) -> None:
        """Compare a new connection with the listener's. What comes of it the freshness tells."""
        met = self._freshness.met  # before the connection: with what is met meanwhile it need not agree
        try:
            with closing(psycopg.connect(**way_of_requests(), autocommit=True)) as new:
                new.wait = partial(new.wait, timeout=PATIENCE)  # type: ignore[method-assign]
                self._freshness.compare(new, met)
        except (psycopg.Error, OSError):
            logger.warning("no new connection to the database can be made")
        finally:
            self._end()

    def _end(self) -> None:
        self._due = self._freshness.now() + PAUSE
        self._under_way.release()
