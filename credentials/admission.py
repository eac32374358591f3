"""Admission, the same at every entry point: time the verdict, apply the rate limit, count the call.

Where Django answers, the record that was admitted is noted on the request, for its view and for the response's headers.
"""

import os
import time
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from audit.client_address import Address
from credentials.background import background
from credentials.limits.rate_limiter import Quota, rate_limiter
from credentials.record import VerifiedRecord
from credentials.refusals import Refusal, RefusedError
from credentials.usage.counters import ACCEPTED, usage_counters

UNAVAILABLE: Final = "unavailable"


class Admission:
    """One call, from the request to its verdict; a context manager, because it is counted whatever the outcome.

    In the block, verify the credential and pass its record to `accept`. A call that would have to wait
    (`WouldBlockError`) is not counted: a thread tries again.
    """

    __slots__ = ("_address", "_entry_point", "_record", "_started")

    def __init__(self, entry_point: str, address: Address | None) -> None:
        self._entry_point = entry_point
        self._address = address
        self._record: VerifiedRecord | None = None

    def __enter__(self) -> "Admission":
        self._started = time.perf_counter()
        return self

    def accept(self, record: VerifiedRecord, *, limited: bool = True, may_block: bool = True) -> Quota | None:
        """Accept a good credential; return what is left of its rate limit (None if it has none, or is not `limited`).

        Raises `RefusedError` with `rate_limited` beyond the limit, and `WouldBlockError` if `may_block` is False and
        Redis counts.
        """
        quota = rate_limiter().hit(record.counted_as, record.rate_limit, may_block=may_block) if limited else None
        if quota is not None and quota.is_exceeded:
            raise RefusedError(_rate_limit_refusal(record, quota))
        self._record = record
        return quota

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        took = time.perf_counter() - self._started
        if error is None:
            if self._record is not None:
                name, secret = self._record.counted_as, self._record.secret_id
                count_call(self._entry_point, ACCEPTED, took, credential=name, secret=secret, address=self._address)
        elif isinstance(error, RefusedError):
            count_call(self._entry_point, error.refusal.code, took, credential=error.refusal.counted_as)
        elif isinstance(error, (DatabaseError, InterfaceError)):
            count_call(self._entry_point, UNAVAILABLE, took)


def count_call(
    entry_point: str,
    outcome: str,
    seconds: float,
    *,
    credential: str = "",
    secret: str = "",
    address: Address | None = None,
) -> None:
    """Count a verdict in memory, and make sure that the counts are written in time."""
    usage_counters().count(entry_point, outcome, seconds, credential=credential, secret=secret, address=address)
    _start_background()


@cache
def _start_background() -> None:
    background().start()


os.register_at_fork(after_in_child=_start_background.cache_clear)


def _rate_limit_refusal(record: VerifiedRecord, quota: Quota) -> Refusal:
    return Refusal(
        code="rate_limited",
        about=record.about,
        counted_as=record.counted_as,
        retry_after=quota.reset,
        headers=quota.headers() | record.lifetime_headers(),
    )


def note_verified(request: HttpRequest, record: VerifiedRecord, quota: Quota | None = None) -> None:
    """Note the record of the credential that a request sent, and what is left of its rate limit."""
    request.verified_record = record  # type: ignore[attr-defined]  # verified_record returns it
    request.credential_quota = quota  # type: ignore[attr-defined]  # response_headers reads it


def verified_record(request: HttpRequest) -> VerifiedRecord:
    """Return the record that was noted. Raises AttributeError if the request sent no credential."""
    record: VerifiedRecord = request.verified_record  # type: ignore[attr-defined]  # note_verified
    return record


def about_credential(request: HttpRequest) -> Mapping[str, str]:
    """Return what a refusal tells the holder of the request's credential: which one it is."""
    record: VerifiedRecord | None = getattr(request, "verified_record", None)
    return record.about if record else {}


def response_headers(request: HttpRequest) -> Mapping[str, str]:
    """Return the headers with which the response says what is left of the rate limit, and when the credential ends."""
    record: VerifiedRecord | None = getattr(request, "verified_record", None)
    if record is None:
        return {}
    quota: Quota | None = getattr(request, "credential_quota", None)
    return (quota.headers() if quota else {}) | record.lifetime_headers()
