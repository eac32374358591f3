"""Rate limits: at most so many calls of a credential in a moving time window, counted by the library `limits`.

Calls are counted in Redis or Valkey (`CACHE_URL`) for all workers together, otherwise in each worker's memory. While
Redis does not answer, the workers stop asking it for a while and each counts by itself. A limit then allows up to its
amount times the number of workers, but never everything, and no call fails because of Redis.
"""

import logging
import math
import os
import time
from dataclasses import dataclass
from functools import cache
from typing import Final

from django.conf import settings
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from credentials.limits.rate_limit_text import parse_rate_limit
from credentials.runtime.circuit_breaker import CircuitBreaker
from credentials.runtime.errors import WouldBlockError

logger = logging.getLogger(__name__)

STORE_TIMEOUT: Final = 0.05  # seconds that a call waits for Redis, once for a connection and once for an answer
COOL_DOWNS: Final = (1.0, 2.0, 5.0, 10.0)  # seconds of pause after each failure of Redis in a row; the last one repeats
QUIET: Final = 60.0  # seconds between two warnings in the log


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit after a call."""

    policy: str
    """`default`, or `key` if the credential has a limit of its own."""
    amount: int
    window: int
    """Seconds."""
    remaining: int
    reset: int
    """Seconds until calls become available again."""
    is_exceeded: bool
    """Whether the call was one too many. Such a call uses nothing up."""

    def headers(self) -> dict[str, str]:
        """Return the response headers of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.amount};w={self.window}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset}',
        }


class RateLimiter:
    """Counts calls in the shared store while that answers, otherwise in this process."""

    def __init__(self) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(_connect_store(settings.CACHE_URL)) if settings.CACHE_URL else None
        self._breaker = CircuitBreaker(cool_downs=COOL_DOWNS, probe=2 * STORE_TIMEOUT)
        self._warned_at = -math.inf

    @property
    def is_counting_alone(self) -> bool:
        """Whether this worker counts by itself although there is a store for all, because that does not answer."""
        return self._breaker.is_open

    def hit(self, name: str, rate_limit: str, *, may_block: bool = True) -> Quota | None:
        """Count a call under this name; return what is left, or None if there is no limit.

        `rate_limit` is the credential's own; empty for KEYPORTAL_RATE_LIMIT. Raises `WouldBlockError` if `may_block` is
        False and Redis does the counting.
        """
        text = rate_limit or settings.KEYPORTAL_RATE_LIMIT
        if not text:
            return None
        if not may_block and self._shared is not None:
            raise WouldBlockError
        item = parse_rate_limit(text)
        within, reset_at, remaining = self._hit(item, name)
        return Quota(
            policy="key" if rate_limit else "default",
            amount=item.amount,
            window=item.get_expiry(),
            remaining=max(0, remaining) if within else 0,
            reset=max(1, min(item.get_expiry(), math.ceil(reset_at - time.time()))),
            is_exceeded=not within,
        )

    def _hit(self, item: RateLimitItem, name: str) -> tuple[bool, float, int]:
        """Count a call; return whether it is allowed, when the oldest call leaves the window, and how many are left."""
        if self._shared is not None and self._breaker.allows():
            try:
                answer = _hit(self._shared, item, name)
            except (RedisError, ValueError, TypeError) as error:  # the last two if foreign data is under our names
                self._breaker.on_failure()
                self._warn(error)
            else:
                self._breaker.on_success()
                return answer
        return _hit(self._own, item, name)

    def _warn(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._warned_at >= QUIET:
            self._warned_at = now
            reason = error if isinstance(error, RedisError) else type(error).__name__  # of the former, the log has it
            logger.warning("each worker counts rate limits separately: %s", reason)


@cache
def rate_limiter() -> RateLimiter:
    """Return this process's rate limiter."""
    return RateLimiter()


os.register_at_fork(after_in_child=rate_limiter.cache_clear)


def _connect_store(url: str) -> RedisStorage:
    # Valkey speaks the Redis protocol.
    at = url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1)
    # No retries by redis-py, which would delay the call by seconds: the circuit breaker pauses instead.
    never = Retry(NoBackoff(), 0)
    pool = ConnectionPool.from_url(at, socket_connect_timeout=STORE_TIMEOUT, socket_timeout=STORE_TIMEOUT, retry=never)
    return RedisStorage(at, connection_pool=pool)


def _hit(limiter: MovingWindowRateLimiter, item: RateLimitItem, name: str) -> tuple[bool, float, int]:
    within = limiter.hit(item, name)
    stats = limiter.get_window_stats(item, name)
    return within, stats.reset_time, stats.remaining
