"""The thread of each worker that sends e-mails, woken by commits of this process and once a second."""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.util import Finalize
from typing import Final

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from accounts.pending import Backlog, backlog, message_committed
from accounts.sending import give_up_hopeless, send_due
from credentials.runtime.database_writes import database_writes
from credentials.verified_cache.freshness import freshness
from integrity.key_check import RingMisfitError, confirm_rings
from keyportal.errors.redacted_errors import in_short

logger = logging.getLogger(__name__)

CHECK_EVERY: Final = 1.0  # seconds between two checks for e-mails that other processes have queued
FIRST_PAUSE: Final = 1.0
MAX_PAUSE: Final = 10.0
"""Seconds to wait for an unavailable server, doubled each time."""
SURVEY: Final = 5.0  # seconds between two counts of waiting e-mails
WARN_EVERY: Final = 60.0  # seconds between two log lines about an unavailable server
AT_EXIT: Final = 3.0  # seconds that the end of the process waits for an e-mail that is being sent


class Mailer:
    """Sends due e-mails, as long as the process lives."""

    def __init__(self) -> None:
        self.backlog = Backlog(0, 0.0)
        """What waits, counted a few seconds ago."""
        self._pause = 0.0
        self._survey_at = 0.0
        self._warned_at = -WARN_EVERY
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start sending. Only server processes call this; others leave their e-mails to them."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="keyportal-messages", daemon=True)
            self._thread.start()
            # Also runs at the end of a process forked by multiprocessing, where `atexit` does not.
            Finalize(None, self.stop, exitpriority=2)

    def stop(self) -> None:
        """Stop, and wait a moment for the e-mail that is being sent, because it would otherwise be sent again."""
        self._ending.set()
        message_committed().set()
        if self._thread is not None:
            self._thread.join(AT_EXIT)

    def _run(self) -> None:
        while not self._ending.is_set():
            if self._pause:
                self._ending.wait(self._pause)
            else:
                message_committed().wait(CHECK_EVERY)
            message_committed().clear()
            self._work()

    def _work(self) -> None:
        """Send what is due, and now and then count what waits. If a server is unavailable, pause for a moment."""
        has_answered = self._run_task(self._send)
        self._pause = 0.0 if has_answered else min(max(self._pause * 2, FIRST_PAUSE), MAX_PAUSE)
        if time.monotonic() >= self._survey_at:
            self._survey_at = time.monotonic() + SURVEY
            if self._run_task(self._follow):
                self._run_task(self._survey)

    def _run_task(self, task: Callable[[], None]) -> bool:
        """Run a task; return whether all services that it needs have answered."""
        try:
            task()
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            database_writes().on_error(error)
            self._warn("messages are waiting for the database: %s", error)
        except RingMisfitError as error:
            self._warn("messages are waiting for matching key rings: %s", error)
        except OSError as error:
            self._warn("messages are waiting for the mail server: %s", error)
        except Exception:  # a thread that ended would never send again
            logger.exception("messages can't be sent")
        else:
            return True
        return False

    def _send(self) -> None:
        self._follow()
        confirm_rings()  # each time: another host may have begun to seal messages with a key that this one lacks
        while send_due(is_ending=self._ending.is_set):
            self._follow()

    def _survey(self) -> None:
        give_up_hopeless()
        self.backlog = backlog()

    def _follow(self) -> None:
        """Make sure that this thread uses the current database: one connection to an old one holds back all threads."""
        close_old_connections()
        freshness().open_current()

    def _warn(self, message: str, error: Exception) -> None:
        if time.monotonic() >= self._warned_at + WARN_EVERY:
            self._warned_at = time.monotonic()
            logger.warning(message, in_short(error))


@cache
def mailer() -> Mailer:
    """Return the mailer of this process."""
    return Mailer()


os.register_at_fork(after_in_child=mailer.cache_clear)
