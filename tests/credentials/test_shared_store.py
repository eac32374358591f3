"""The store in which the workers count calls together: what is sent to it, how it is reached, and when it fails."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from limits.storage import MemoryStorage, RedisStorage
from pytest_django import Settings
from redis import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from credentials.limits import rate_limiter
from credentials.limits.rate_limiter import RateLimiter
from credentials.runtime.errors import WouldBlockError
from keyportal.errors.redacted_errors import in_short

pytestmark = pytest.mark.once


class Store(MemoryStorage):
    """The library's own store in memory, as one that several workers reach; it may do anything before it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = int
        self.attempts = 0

    def acquire_entry(self, *given: Any, **named: Any) -> bool:
        self.attempts += 1
        self.before()
        return super().acquire_entry(*given, **named)


@dataclass
class StandingClock:
    """The monotonic clock, standing still until a test moves it."""

    now: float = 1000.0


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> StandingClock:
    clock = StandingClock()
    times = SimpleNamespace(monotonic=lambda: clock.now, time=lambda: 1_799_971_200.0)
    monkeypatch.setattr("credentials.runtime.circuit_breaker.time", times)
    monkeypatch.setattr("credentials.limits.rate_limiter.time", times)
    return clock


@pytest.fixture
def shared(settings: Settings, monkeypatch: pytest.MonkeyPatch, standing: StandingClock) -> Store:
    settings.CACHE_URL = "redis://store.test/0"
    shared = Store()
    monkeypatch.setattr(rate_limiter, "_connect_store", {settings.CACHE_URL: shared}.__getitem__)
    return shared


def fail_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def is_allowed(limiter: RateLimiter, name: str = "key_1") -> bool:
    quota = limiter.hit(name, "3/hour")
    assert quota is not None
    return not quota.is_exceeded


def test_workers_count_together_and_each_credential_by_itself(shared: Store) -> None:
    one, other = RateLimiter(), RateLimiter()
    allowed = [is_allowed(worker) for worker in (one, other, one, other, one)]
    assert allowed == [True, True, True, False, False]
    assert is_allowed(one, "key_2")
    assert shared.attempts == 6


def test_beyond_a_limit_nothing_is_left_even_if_a_call_came_back_meanwhile(
    shared: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = RateLimiter()
    for _ in range(3):
        assert is_allowed(worker)
    monkeypatch.setattr(shared, "get_moving_window", lambda *_: (1_799_971_190.0, 2))
    quota = worker.hit("key_1", "3/hour")
    assert quota is not None
    assert (quota.is_exceeded, quota.remaining, quota.reset) == (True, 0, 3590)


def test_only_a_thread_may_ask_the_store(shared: Store) -> None:
    with pytest.raises(WouldBlockError):
        RateLimiter().hit("key_1", "3/hour", may_block=False)
    assert RateLimiter().hit("key_1", "", may_block=False) is None  # which needs no counting
    assert shared.attempts == 0


@pytest.mark.parametrize(
    "error",
    [RedisConnectionError(), RedisTimeoutError(), RedisError(), ValueError("foreign data"), TypeError("foreign data")],
    ids=lambda error: type(error).__name__,
)
def test_while_the_store_fails_a_worker_counts_by_itself_and_says_so(
    shared: Store, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    shared.before = fail_with(error)
    worker = RateLimiter()
    with caplog.at_level(logging.WARNING, rate_limiter.__name__):
        assert [is_allowed(worker) for _ in range(5)] == [True] * 3 + [False] * 2
    assert shared.attempts == 1
    reason = in_short(error) if isinstance(error, RedisError) else type(error).__name__
    assert caplog.messages == [f"each worker counts rate limits separately: {reason}"]


def test_the_log_repeats_the_warning_once_a_minute(
    shared: Store, standing: StandingClock, caplog: pytest.LogCaptureFixture
) -> None:
    shared.before = fail_with(RedisTimeoutError())
    worker = RateLimiter()
    warned_at = []
    for _ in range(25):  # each ten seconds: by then, the store is tried again
        caplog.clear()
        is_allowed(worker)
        warned_at += [standing.now - 1000] * len(caplog.messages)
        standing.now += 10
    assert (warned_at, shared.attempts) == ([0, 60, 120, 180, 240], 25)


def test_a_store_that_answers_again_is_asked_at_every_call(shared: Store, standing: StandingClock) -> None:
    shared.before = fail_with(RedisTimeoutError())
    worker = RateLimiter()
    is_allowed(worker)
    shared.before = int
    standing.now += 1
    assert [is_allowed(worker) for _ in range(4)] == [True, True, True, False]
    assert shared.attempts == 5


def test_one_call_tries_the_store_again_and_the_others_wait_as_long_as_it_may_take(
    shared: Store, standing: StandingClock
) -> None:
    shared.before = fail_with(RedisTimeoutError())
    worker = RateLimiter()
    is_allowed(worker)
    standing.now += 1
    attempts: list[int] = []

    def others_call_meanwhile() -> None:
        shared.before = fail_with(RedisTimeoutError())
        for seconds in (0.0, 0.09, 0.02):
            standing.now += seconds
            is_allowed(worker)
            attempts.append(shared.attempts)

    shared.before = others_call_meanwhile
    is_allowed(worker)
    assert attempts == [2, 2, 3]


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("redis://user:word@store.test:7000/3", False),
        ("valkey://user:word@store.test:7000/3", False),
        ("rediss://user:word@store.test:7000/3", True),
        ("valkeys://user:word@store.test:7000/3", True),
    ],
)
def test_redis_and_valkey_are_reached_alike_without_a_wait_or_a_second_try(url: str, encrypted: bool) -> None:
    store = rate_limiter._connect_store(url)
    assert isinstance(store, RedisStorage)
    pool = store.storage.connection_pool
    given = pool.connection_kwargs
    assert [given[name] for name in ("host", "port", "db", "username", "password")] == [
        "store.test",
        7000,
        3,
        "user",
        "word",
    ]
    assert issubclass(pool.connection_class, SSLConnection) is encrypted
    assert (given["socket_connect_timeout"], given["socket_timeout"]) == (0.05, 0.05)
    assert given["retry"].get_retries() == 0
