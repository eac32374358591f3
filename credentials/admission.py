"""What happens at every door once it has a credential in its hands: the verdict, the rate limit, the count."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from django.db import DatabaseError, InterfaceError

from credentials.client_address import Address
from credentials.credential import Credential, Owner
from credentials.quota import Quota, take
from credentials.refusals import RefusedError
from credentials.tally import ACCEPTED
from credentials.usage import counted


class Verified(Protocol):
    """What a `verification.py` gives for a credential that is good."""

    @property
    def owner(self) -> Owner:
        """Whose it is."""

    @property
    def credential(self) -> Credential:
        """What was proved."""

    @property
    def counted_as(self) -> str:
        """Under which id it is counted and limited: the key, also for its tokens; else the user who logged in."""

    @property
    def secret_id(self) -> str:
        """Which of a key's secrets was sent; empty for a token."""

    @property
    def limit(self) -> str:
        """The rate limit that an operator has set for it; empty for the default."""


Record = TypeVar("Record", bound=Verified)


def admit(
    verify: Callable[[], Record],
    *,
    door: str,
    address: Address | None,
    limited: bool = True,
    may_block: bool = True,
) -> tuple[Record, Quota | None]:
    """Give what `verify` proves, and what is left of its rate limit (None: it has none). Counts, whatever comes out.

    Raises `RefusedError`, with `rate_limited` where the limit is reached; `django.db.Error` when the database is away;
    where it must not block `WouldBlockError`, having counted nothing.
    """
    started = time.perf_counter()
    try:
        record = verify()
        quota = take(record.counted_as, record.limit, record.credential, may_block=may_block) if limited else None
    except RefusedError as error:
        refusal = error.refusal
        counted(door, refusal.code, time.perf_counter() - started, credential=refusal.counted_as)
        raise
    except (DatabaseError, InterfaceError):
        counted(door, "unavailable", time.perf_counter() - started)
        raise
    counted(
        door,
        ACCEPTED,
        time.perf_counter() - started,
        credential=record.counted_as,
        secret=record.secret_id,
        address=address,
    )
    return record, quota
