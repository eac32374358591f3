"""Admission, the same at every entry point: check the credential, apply its rate limit, count the call."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from django.db import DatabaseError, InterfaceError

from audit.client_address import Address
from credentials.counting import count_call
from credentials.credential import Credential, Owner
from credentials.limits.rate_limiter import Quota, rate_limiter
from credentials.refusals import Refusal, RefusedError
from credentials.usage.counters import ACCEPTED


class VerifiedRecord(Protocol):
    """The record that a `verification.py` returns for a valid credential."""

    @property
    def owner(self) -> Owner:
        """The owner of the credential."""

    @property
    def credential(self) -> Credential:
        """The credential that was proved."""

    @property
    def counted_as(self) -> str:
        """The id for counting and rate limits: the key's, also for its tokens; for a log-in's tokens the user's."""

    @property
    def secret_id(self) -> str:
        """The id of the key's secret that was sent; empty for a token."""

    @property
    def limit(self) -> str:
        """The rate limit that an operator has set for the key; empty for the default."""


Record = TypeVar("Record", bound=VerifiedRecord)


def admit(
    verify: Callable[[], Record],
    *,
    entry_point: str,
    address: Address | None,
    limited: bool = True,
    may_block: bool = True,
) -> tuple[Record, Quota | None]:
    """Return the record that `verify` returns and what is left of its rate limit (None if it has no limit).

    The call is counted whatever the outcome. Raises `RefusedError`, with `rate_limited` once the limit is reached,
    `django.db.Error` if the database is unavailable, and `WouldBlockError`, having counted nothing, if `may_block` is
    False and the verdict would have to wait.
    """
    started = time.perf_counter()
    try:
        record = verify()
        quota = _spend(record, may_block=may_block) if limited else None
    except RefusedError as error:
        refusal = error.refusal
        count_call(entry_point, refusal.code, time.perf_counter() - started, credential=refusal.counted_as)
        raise
    except (DatabaseError, InterfaceError):
        count_call(entry_point, "unavailable", time.perf_counter() - started)
        raise
    count_call(
        entry_point,
        ACCEPTED,
        time.perf_counter() - started,
        credential=record.counted_as,
        secret=record.secret_id,
        address=address,
    )
    return record, quota


def _spend(record: VerifiedRecord, *, may_block: bool) -> Quota | None:
    """Count a call against the record's rate limit; return what is left. Raises as `admit` does."""
    quota = rate_limiter().hit(record.counted_as, record.limit, may_block=may_block)
    if quota is None or not quota.is_exceeded:
        return quota
    raise RefusedError(
        Refusal(
            code="rate_limited",
            about={"key": record.credential.id, "name": record.credential.name},
            counted_as=record.counted_as,
            retry_after=quota.reset,
            headers=quota.headers(),
        )
    )
