"""Admit services that check credentials: each needs the scope `credentials:verify`, and has a limit of its own."""

import logging
import os
import threading
import time
from functools import cache
from typing import Final

from django.conf import settings
from django.db import DatabaseError

from accounts.attempts import AttemptLimit
from audit.client_address import Address
from credentials.admission import Admission, count_call
from credentials.bearer import bearer_token
from credentials.credential import Credential
from credentials.limits.rate_limit_text import parse_rate_limit
from credentials.record import VerifiedRecord
from credentials.refusals import Refusal, RefusedError, refusal_error
from credentials.runtime.database_writes import database_writes
from credentials.usage.counters import ACCEPTED
from credentials.verified_cache.freshness import Lookup, freshness, get_cached, get_or_load
from gateway.caller_cache import CallerCache
from gateway.verification import verify_any

logger = logging.getLogger(__name__)

SCOPE: Final = "credentials:verify"
ENTRY_POINT: Final = "api"
MISSES: Final = AttemptLimit("KEYPORTAL_LIMIT_MISSES", "Too many unknown credentials.")
"""Limits services that try to find good credentials by checking random ones (RFC 7662 §4)."""
LIMIT_MESSAGE: Final = (
    "Your service sends more requests than this portal allows. No credential was checked. Try again after the number "
    "of seconds in Retry-After."
)


class CallerLimitError(Exception):
    """A service is over its limit. This says nothing about any credential and must not look like a verdict."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(LIMIT_MESSAGE)
        self.retry_after = retry_after


class Allowance:
    """The requests that each service may send in a window of time, counted in this process only."""

    def __init__(self) -> None:
        self._amount = 0
        self._began = self._ends = 0.0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def spend(self, service: str) -> None:
        """Count one request of a service. Raises `CallerLimitError` over the limit."""
        now = time.time()
        with self._lock:
            if not self._began <= now < self._ends:
                self._begin(now)
            count = self._counts[service] = self._counts.get(service, 0) + 1
        if count > self._amount:
            raise CallerLimitError(int(self._ends - now) + 1)

    def _begin(self, now: float) -> None:
        """Start the window that contains this moment, with the limit that the settings have now."""
        limit = parse_rate_limit(settings.KEYPORTAL_LIMIT_SERVICE)
        self._amount, seconds = limit.amount, limit.get_expiry()
        self._began = now - now % seconds
        self._ends = self._began + seconds
        self._counts = {}


@cache
def allowance() -> Allowance:
    """Return the allowance of this process."""
    return Allowance()


os.register_at_fork(after_in_child=allowance.cache_clear)


def authenticate_caller(
    header: str | None, query: str, *, address: Address | None, lookup: Lookup = get_or_load
) -> VerifiedRecord:
    """Return the record of the service that calls.

    Its own rate limit does not apply, because that limits the calls that it makes for itself. Raises `RefusedError`,
    `CallerLimitError`, `django.db.Error`, and `WouldBlockError` if `lookup` uses the cache alone.
    """
    record = _look_up(header, query, address, lookup)
    authorize_caller(record)
    return record


def authenticate_known_caller(
    header: str | None, query: str, address: Address | None, caller_cache: CallerCache
) -> VerifiedRecord:
    """Return the same from the cache alone, and from what this connection sent before. Raises the same errors.

    For the event loop.
    """
    started = time.perf_counter()
    record = None if header is None or query else caller_cache.get(header, address)
    if record is None:
        generation = freshness().cache.generation
        record = _look_up(header, query, address, get_cached)
        if header is not None:
            caller_cache.put(header, record, generation=generation)
    else:
        took, name = time.perf_counter() - started, record.counted_as
        count_call(ENTRY_POINT, ACCEPTED, took, credential=name, secret=record.secret_id, address=address)
    authorize_caller(record)
    return record


def _look_up(header: str | None, query: str, address: Address | None, lookup: Lookup) -> VerifiedRecord:
    text = bearer_token({"HTTP_AUTHORIZATION": header, "QUERY_STRING": query})
    if text is None:
        raise refusal_error("missing_credential")
    with Admission(ENTRY_POINT, address) as admission:
        record = verify_any(text, address=address, lookup=lookup)
        admission.accept(record, limited=False)
    return record


def authorize_caller(record: VerifiedRecord) -> None:
    """Check the service's scope and count its request. Raises `RefusedError` or `CallerLimitError`."""
    if SCOPE not in record.credential.scopes:
        raise RefusedError(Refusal(code="insufficient_scope", scopes=(SCOPE,), about=record.about))
    allowance().spend(caller_id(record.credential))


def caller_id(caller: Credential) -> str:
    """Return the id under which a service is counted: its key's, also for tokens of that key."""
    return caller.key_id or caller.owner_id


def count_miss(caller: Credential) -> int:
    """Count a check of an unknown credential; return the seconds to wait if the service has made too many, else 0.

    Known credentials are still answered. Otherwise a stranger who sends random credentials to a service could lock out
    its clients.
    """
    name = caller_id(caller)
    try:
        return MISSES.retry_after(name) or MISSES.hit(name)
    except DatabaseError as error:
        database_writes().on_error(error)
        logger.warning("an unknown credential is not counted: %s", error)  # the log has only its class and code
        return 0  # if the database takes no writes, verdicts go on
