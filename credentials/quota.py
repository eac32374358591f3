"""Rate limits: so many calls of one credential in a moving window of time, by the library `limits`.

Counted in Redis or Valkey (`CACHE_URL`) for all workers together, else in each worker's memory. A Redis that does not
answer is left alone for a while, and each worker counts for itself: a limit then lets through as much as workers times
the amount, but never everything, and no call fails for it.
"""

import logging
import math
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.conf import settings
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from credentials.credential import Credential
from credentials.rate_limit_text import parsed_limit
from credentials.recall import WouldBlockError
from credentials.refusals import Refusal, RefusedError

logger = logging.getLogger(__name__)

PATIENCE: Final = 0.05  # seconds that a call waits for Redis, for a connection and for an answer each
REST: Final = (1.0, 2.0, 5.0, 10.0)  # seconds for which a Redis that failed is left alone; the last again and again
QUIET: Final = 60.0  # seconds between two warnings


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit after a call."""

    policy: str
    """`default`, or `key` for a limit of the credential's own."""
    amount: int
    window: int
    """Seconds."""
    remaining: int
    reset: int
    """Seconds until there is more."""

    def headers(self) -> dict[str, str]:
        """Give the headers of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.amount};w={self.window}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset}',
        }


class Counter:
    """Counts calls: in the shared store while that answers, else in this process."""

    def __init__(self) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(_shared_store(settings.CACHE_URL)) if settings.CACHE_URL else None
        self._failures = 0
        self._rests_until = 0.0
        self._warned_at = -math.inf
        self._lock = threading.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether a call is counted elsewhere, which takes a while."""
        return self._shared is not None

    def hit(self, item: RateLimitItem, name: str) -> tuple[bool, float, int]:
        """Count a call: whether it is within the limit, when the window's oldest call leaves it, how many are left."""
        if self._shared is not None and time.monotonic() >= self._rests_until:
            try:
                answer = _hit(self._shared, item, name)
            except (RedisError, ValueError, TypeError) as error:  # the latter where somebody wrote into it
                self._rest(error)
            else:
                self._failures = 0
                return answer
        return _hit(self._own, item, name)

    def _rest(self, error: Exception) -> None:
        """Leave the store alone for a while: every call would wait for it."""
        with self._lock:
            now = time.monotonic()
            self._rests_until = now + REST[min(self._failures, len(REST) - 1)]
            self._failures += 1
            if now - self._warned_at >= QUIET:
                self._warned_at = now
                logger.warning("rate limits are counted by each worker for itself: %s", type(error).__name__)


def take(name: str, limit: str, credential: Credential, *, may_block: bool = True) -> Quota | None:
    """Count a call of what is counted under this name; None if there is no limit on it.

    Raises `RefusedError` with `rate_limited`; a call that is refused uses nothing up. Raises `WouldBlockError` where it
    must not block and Redis counts.
    """
    text = limit or settings.KEYPORTAL_RATE_LIMIT
    if not text:
        return None
    if not may_block and counter().is_shared:
        raise WouldBlockError
    item = parsed_limit(text)
    within, reset_at, remaining = counter().hit(item, name)
    quota = Quota(
        policy="key" if limit else "default",
        amount=item.amount,
        window=item.get_expiry(),
        remaining=max(0, remaining) if within else 0,
        reset=max(1, min(item.get_expiry(), math.ceil(reset_at - time.time()))),
    )
    if within:
        return quota
    about = {"key": credential.id, "name": credential.name}
    raise RefusedError(
        Refusal(code="rate_limited", about=about, counted_as=name, retry_after=quota.reset, headers=quota.headers())
    )


@lru_cache(maxsize=1)
def counter() -> Counter:
    """Give this process's counter, made when it is first needed."""
    return Counter()


def _shared_store(url: str) -> RedisStorage:
    # Valkey speaks Redis' protocol.
    at = url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1)
    # Asked again only after a rest: redis-py's own retries would hold the call up for seconds.
    never = Retry(NoBackoff(), 0)
    pool = ConnectionPool.from_url(at, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=never)
    return RedisStorage(at, connection_pool=pool)


def _hit(limiter: MovingWindowRateLimiter, item: RateLimitItem, name: str) -> tuple[bool, float, int]:
    within = limiter.hit(item, name)
    stats = limiter.get_window_stats(item, name)
    return within, stats.reset_time, stats.remaining
