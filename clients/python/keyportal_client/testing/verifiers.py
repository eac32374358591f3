"""The verifiers of this process while a portal in memory answers them: without threads, so nothing is waited for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying import process_state
from keyportal_client.verifying.base import BaseVerifier
from keyportal_client.verifying.feed import LAST_COUNTS, Feed
from keyportal_client.verifying.forking import _all as every_verifier


class ThreadlessFeed(Feed):
    """Polls and reports when it is told to, in the thread that tells it."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._turns = threading.Lock()

    def ensure_started(self) -> None:
        """Poll if the lease is over: there is no thread that would."""
        if not self._stopped.is_set() and not self._store.is_current:
            self.poll()

    def end(self, within: float) -> None:
        """Poll no more. This may be called during a poll, if the verifier is found to be garbage then."""
        self._stopped.set()

    def join(self, within: float) -> None:
        """Send the last counts."""
        self.report()
        self._line.close()

    def poll(self) -> None:
        """Hear of changes now, unless it has ended."""
        if self._stopped.is_set():
            return
        with self._turns:
            try:
                self._poll()
            except PortalAwayError as error:
                self._faults.note(str(error))

    def report(self) -> None:
        """Send all counts now."""
        with self._turns:
            try:
                while self._report():
                    continue
            except PortalAwayError as error:
                self._faults.note(str(error))


class Verifiers:
    """All verifiers of this process, those included that were made before, as at the import of a service."""

    def __init__(self) -> None:
        self._feeds: list[ThreadlessFeed] = []
        """Those of verifiers that are garbage included, for what they counted."""

    @contextmanager
    def threadless(self) -> Iterator[None]:
        """Have verifiers start no thread within the block."""
        try:
            with patch.object(process_state, "Feed", self._feed):
                self.begin_anew()
                yield
        finally:
            self.begin_anew()
            for feed in self._feeds:
                feed.stop(LAST_COUNTS)
            self._feeds.clear()

    def poll(self) -> None:
        """Have all of them hear of changes."""
        for feed in list(self._feeds):
            feed.poll()

    def report(self) -> None:
        """Have all of them send what they counted."""
        for feed in list(self._feeds):
            feed.report()

    def begin_anew(self) -> None:
        """Have all of them send what they counted, and forget everything else."""
        for verifier in list(every_verifier):
            if isinstance(verifier, BaseVerifier):
                verifier._close()  # what is public is a coroutine for asynchronous ones
            else:
                verifier.begin_anew()

    def _feed(self, *parts: Any, **more: Any) -> ThreadlessFeed:
        feed = ThreadlessFeed(*parts, **more)
        self._feeds.append(feed)
        return feed
