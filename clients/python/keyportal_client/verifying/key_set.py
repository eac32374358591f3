"""The portal's published keys, kept for a while."""

import json
import threading
from collections.abc import Generator
from concurrent.futures import Future
from http import HTTPStatus
from math import inf
from typing import Final

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying.answers import Answer
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.exchange import Call
from keyportal_client.verifying.fault_log import FaultLog
from keyportal_client.verifying.jws import PublicKey, keys_in
from keyportal_client.verifying.steps import Step, StepResult

PATH: Final = "/.well-known/jwks.json"
CALL: Final = Call("GET", PATH, is_public=True)
RETRY_SOON: Final = 2.0
"""Seconds between two calls while there are no keys at all."""
RETRY_EVERY: Final = 30.0
"""Seconds between two calls, at least, however many tokens name keys that are unknown."""
RENEW_AFTER: Final = 300.0
"""Seconds after which the keys are fetched anew, so that one which was withdrawn is not trusted for long."""
MAX_AGE: Final = 3600.0
"""Seconds after which no key is trusted any more, if they can't be fetched anew."""

NO_KEYS: Final = f"The portal publishes no keys at {PATH}. Check the address."


class KeySet:
    """The keys by their ids. Thread-safe."""

    def __init__(self, *, now: Clock, faults: FaultLog | None = None) -> None:
        self._now = now
        self._faults = faults
        self._lock = threading.Lock()
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = -inf
        self._tried_at = -inf
        self._flight: Future[bool] | None = None

    @property
    def is_known(self) -> bool:
        """Whether there are keys that can be trusted."""
        return self._now() - self._fetched_at < MAX_AGE

    def get(self, key_id: str) -> PublicKey | None:
        """Return a key; None if it is not known."""
        return self._keys.get(key_id) if self.is_known else None

    def renew_for(self, key_id: str) -> Generator[Step, StepResult, bool]:
        """Fetch the keys if it is time to, or if this one is unknown; return whether they have been fetched just now.

        Who comes meanwhile waits, unless the key is known. Without an answer, the keys from before are kept.
        """
        flight, is_first = self._join(key_id)
        if flight is None:
            return False
        if not is_first:
            return bool((yield flight))
        has_come = False
        try:
            found = yield CALL
            has_come = isinstance(found, Answer) and self._take(found)
            self._report(found, has_come=has_come)
            return has_come
        finally:
            with self._lock:
                self._flight = None
            flight.set_result(has_come)

    def _join(self, key_id: str) -> tuple[Future[bool] | None, bool]:
        """Return the fetching of keys, and whether it is the caller who has to fetch them; None if it is not needed."""
        with self._lock:
            now, pause = self._now(), RETRY_EVERY if self.is_known else RETRY_SOON
            has_key = self.is_known and key_id in self._keys
            if has_key and now - self._fetched_at < RENEW_AFTER:
                return None, False
            if self._flight is not None:
                return (None if has_key else self._flight), False
            if now - self._tried_at < pause:
                return None, False
            self._tried_at, self._flight = now, Future()
            return self._flight, True

    def _report(self, found: StepResult, *, has_come: bool) -> None:
        """Note in the log whether keys came."""
        if self._faults is None:
            return
        if has_come:
            self._faults.succeed()
        else:
            self._faults.note(str(found) if isinstance(found, PortalAwayError) else NO_KEYS)

    def _take(self, answer: Answer) -> bool:
        """Take the keys of an answer; return whether it has any."""
        if answer.status != HTTPStatus.OK:
            return False
        try:
            keys = keys_in(json.loads(answer.body))
        except (ValueError, RecursionError):
            return False
        with self._lock:
            self._keys, self._fetched_at = keys, self._now()
        return True
