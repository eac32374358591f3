"""The thread that hears of changes and reports calls: one for each verifier and process.

It polls four times a second, and sends the counts every five seconds in between. While there is nothing to verify, it
is idle: it polls seldom, and the portal is asked about the next credential. docs/change-feed.md of the project.
"""

import atexit
import json
import logging
import os
import random
import threading
import weakref
from typing import Final, Protocol

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying import clock
from keyportal_client.verifying.answers import Answer, is_stored, parse_changes
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.exchange import Call
from keyportal_client.verifying.fault_log import FaultLog
from keyportal_client.verifying.reports import MAX_ENTRIES, Reports
from keyportal_client.verifying.store import RecordStore

logger = logging.getLogger("keyportal_client")

CHANGES: Final = "/api/v1/changes"
USAGE: Final = "/api/v1/usage"
POLL_EVERY: Final = 0.25
REPORT_EVERY: Final = 5.0
IDLE_AFTER: Final = 5.0
"""Seconds without a check after which it is idle."""
IDLE_EVERY: Final = 5.0
"""Seconds between two polls meanwhile."""
TIMEOUT: Final = 1.0
"""Seconds to wait for an answer: less than the lease, so that one worker that hangs does not end it."""
LAST_COUNTS: Final = 2.0
"""Seconds for which the end of a process waits at most, to send what was counted."""
SLOWEST: Final = 1.0
"""Seconds between two polls while the portal is away; longer only where asking again soon can't help."""
NO_THREAD: Final = "The thread of keyportal's change feed can't be started, so the portal is asked at every request."
NOT_TAKEN: Final = "The portal does not take what this service counted. Update keyportal-client, or the portal."


class Sender(Protocol):
    """What sends a request."""

    def send(self, call: Call) -> Answer:
        """Return the answer. Raises `PortalAwayError`."""

    def close(self) -> None:
        """Close the connections."""


class Feed:
    """Polls and reports, in a thread of its own from `ensure_started` to `stop`."""

    def __init__(self, line: Sender, store: RecordStore, reports: Reports, faults: FaultLog, *, now: Clock) -> None:
        self._line = line
        self._store = store
        self._reports = reports
        self._faults = faults
        self._now = now
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._wake = threading.Event()
        """Set to end a pause."""
        self._process = os.getpid()
        self._failures = 0
        self._report_at = now() + REPORT_EVERY
        self._ends_at = 0.0
        _feeds.add(self)

    @property
    def is_of_this_process(self) -> bool:
        """Return whether it is not one that a fork has left behind, whose thread and locks are the parent's."""
        return self._process == os.getpid()

    def ensure_started(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._stopped.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            thread = threading.Thread(target=self._run, name="keyportal-feed", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # at the end of the interpreter, or of this machine's threads
                self._faults.note(NO_THREAD)
            else:
                self._thread = thread

    def end(self, within: float) -> None:
        """Have the thread end, without waiting for it. It sends the last counts, for so many seconds at most."""
        with self._lock:
            self._ends_at = self._now() + within
            self._stopped.set()
        self._wake.set()

    def join(self, within: float) -> None:
        """Wait until the thread has ended, for so many seconds at most."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(within, 0.0))

    def stop(self, within: float) -> None:
        """Have the thread end, and wait until it has."""
        self.end(within)
        self.join(within)

    def turn(self) -> float:
        """Poll once, report if it is time, and return for how many seconds to pause."""
        try:
            self._poll()
        except PortalAwayError as error:
            self._faults.note(str(error))
            self._store.end_idling()
            self._failures += 1
            # Soon at first: most often one worker of several has ended, and revocations wait for the next poll.
            return _jittered(min(max(error.pause, SLOWEST), POLL_EVERY * 2.0 ** min(self._failures - 2, 8)))
        self._failures = 0
        self._faults.succeed()
        if self._now() >= self._report_at:
            self._report_or_wait()
        is_idle = self._store.idle_if_unused(IDLE_AFTER, wake=self._wake.set)
        return _jittered(IDLE_EVERY if is_idle else POLL_EVERY)

    def _run(self) -> None:
        pause = 0.0
        while not self._is_stopped_after(pause):
            try:
                pause = self.turn()
            except Exception:
                logger.exception("keyportal: the change feed has failed. Please report this. It goes on.")
                self._store.end_idling()
                pause = REPORT_EVERY
        self._report_all()
        self._line.close()

    def _is_stopped_after(self, pause: float) -> bool:
        """Return whether to end, after a pause that can be ended early."""
        self._wake.wait(pause)
        self._wake.clear()
        return self._stopped.is_set()

    def _poll(self) -> None:
        began, cursor = self._now(), self._store.cursor
        answer = self._line.send(Call("GET", f"{CHANGES}?since={cursor.text}" if cursor else CHANGES))
        self._store.apply_changes(parse_changes(answer), began=began)

    def _report(self) -> bool:
        """Send a batch, if there is one; return whether there was. Raises `PortalAwayError`."""
        batch = self._reports.batch(self._store.portal_time())
        if batch is not None:
            if not is_stored(self._line.send(Call("POST", USAGE, json.dumps(batch).encode()))):
                self._faults.note(NOT_TAKEN)
            self._reports.stored()
        if batch is None or len(batch["calls"]) < MAX_ENTRIES:
            self._report_at = self._now() + REPORT_EVERY
        return batch is not None

    def _report_or_wait(self) -> None:
        """Send a batch. If it can't be taken, polls go on as if nothing was: the lease depends on them."""
        try:
            self._report()
        except PortalAwayError as error:
            self._faults.note(str(error))
            self._report_at = self._now() + REPORT_EVERY

    def _report_all(self) -> None:
        """Send what was counted, as far as the portal takes it, until it is time to end."""
        try:
            while self._now() < self._ends_at and self._report():
                continue
        except PortalAwayError as error:
            self._faults.note(str(error))


_feeds: Final[weakref.WeakSet[Feed]] = weakref.WeakSet()
"""All that there are. One whose thread runs is not garbage."""


@atexit.register
def _stop_all() -> None:
    """Have the last counts of all verifiers sent at the end of the program."""
    feeds = [feed for feed in list(_feeds) if feed.is_of_this_process]
    ends_at = clock.now() + LAST_COUNTS
    for feed in feeds:
        feed.end(LAST_COUNTS)
    for feed in feeds:
        feed.join(ends_at - clock.now())


def _jittered(seconds: float) -> float:
    """Return about so many seconds, so that many verifiers do not ask at the same moment."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  # protects nothing
