"""Which refused requests are sent again, and when. 429 and 503 say nothing about the credential."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Literal, NamedTuple, TypeAlias

from keyportal_client.verifying import clock
from keyportal_client.verifying.clock import Clock

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that change nothing more if they are carried out twice (RFC 9110 §9.2.2)."""
SPREAD: Final = 0.1
"""How much of a wait is added at random, at most, so that clients that were refused together don't return together."""
RENEW: Final = "renew"
Step: TypeAlias = float | Literal["renew"]
"""Seconds to wait, or to get another token."""
_LONGEST: Final = len("1000000")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and for how long a refused request is repeated."""

    repeats: int = 8
    """How often one request is sent again at most; 0 for never. Mostly it is `total` that ends it."""
    total: float = 60.0
    """Seconds after which a request is not sent again. A Retry-After beyond that is not waited for."""
    first_pause: float = 0.5
    """Seconds before the first repetition, doubled for each further one; longer where Retry-After says so."""
    sleep: Callable[[float], None] = time.sleep
    sleep_async: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Clock = clock.now


class SentRequest(NamedTuple):
    """A request, as far as it decides whether it may be sent again."""

    method: str
    can_replay: bool
    """Whether its body is still there."""
    has_idempotency_key: bool = False

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether it does no harm if it was carried out before."""
        return self.method.upper() in IDEMPOTENT or self.has_idempotency_key


class RefusedResponse(NamedTuple):
    """A response that says no."""

    status: int
    retry_after: str
    """The value of that header; empty without."""
    code: str = ""
    """The member `code` of its body, if that is a problem detail (RFC 9457)."""
    is_of_the_token: bool = False
    """Whether it is the token itself that is refused (RFC 6750 §3.1), so that another one may do."""


class Repetitions:
    """What becomes of one request."""

    def __init__(self, policy: RetryPolicy, sent: SentRequest) -> None:
        self._policy = policy
        self._sent = sent
        self._count = 0
        self._has_renewed = False
        self._began = policy.now()

    def after(self, refused: RefusedResponse) -> Step | None:
        """Return what to do before the request is sent again; None to give the response to who sent it."""
        if refused.is_of_the_token:
            may_renew, self._has_renewed = self._sent.can_replay and not self._has_renewed, True
            return RENEW if may_renew else None
        if self._count >= self._policy.repeats or not self._may_repeat(refused):
            return None
        pause = self._pause(refused.retry_after)
        if self._policy.now() - self._began + pause > self._policy.total:
            return None
        self._count += 1
        return pause

    def _pause(self, retry_after: str) -> float:
        """Return for how many seconds to wait: never less than the response says."""
        first = self._policy.first_pause
        said = seconds_of(retry_after, at=time.time())
        pause = max(first * 2.0**self._count, said or 0.0)
        return pause + random.uniform(0, max(first, SPREAD * pause))  # noqa: S311  # protects nothing

    def _may_repeat(self, refused: RefusedResponse) -> bool:
        """Return whether the request was not carried out, or may be carried out twice."""
        if not self._sent.can_replay:
            return False
        if refused.status == HTTPStatus.TOO_MANY_REQUESTS:
            return True
        was_not_admitted = refused.code == "unavailable"  # the check of credentials says so, before the API acts
        return refused.status == HTTPStatus.SERVICE_UNAVAILABLE and (self._sent.is_safe_to_repeat or was_not_admitted)


def seconds_of(retry_after: str, *, at: float) -> float | None:
    """Return how long a Retry-After says to wait, in seconds or until a date (RFC 9110 §10.2.3); None if it does not.

    `at` is the time in seconds since 1970.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) < _LONGEST else None
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, (until if until.tzinfo else until.replace(tzinfo=timezone.utc)).timestamp() - at)
