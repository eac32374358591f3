"""What one worker's rate limiter says of each call, in numbers and in headers: the clock stands still."""

import pytest
from pytest_django import Settings

from credentials.limits.rate_limit_text import MAX_CALLS, parse_rate_limit
from credentials.limits.rate_limiter import Quota, RateLimiter
from tests.limits import START, Clock, clock

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.once


@pytest.fixture
def limiter(settings: Settings, clock: Clock) -> RateLimiter:
    """A limiter that counts in this process."""
    settings.CACHE_URL = ""
    return RateLimiter()


def hit(limiter: RateLimiter, limit: str = "", name: str = "key_1") -> Quota:
    quota = limiter.hit(name, limit)
    assert quota is not None
    return quota


def test_a_limit_counts_down_to_nothing_and_says_when_calls_come_back(limiter: RateLimiter, clock: Clock) -> None:
    left: list[tuple[int, int, bool]] = []
    for second in (0, 10, 59.5, 59.9, 60.1, 60.2):
        clock.move_to(START + second, tick=False)
        quota = hit(limiter, "3/minute")
        left.append((quota.remaining, quota.reset, quota.is_exceeded))
    assert left == [(2, 60, False), (1, 50, False), (0, 1, False), (0, 1, True), (0, 10, False), (0, 10, True)]


@pytest.mark.parametrize(
    ("own", "default", "expected"),
    [
        ("5 per 2 hours", "3/minute", ("key", 5, 7200)),
        ("5/second", "", ("key", 5, 1)),
        ("", "3/minute", ("default", 3, 60)),
    ],
)
def test_a_key_s_own_limit_comes_before_the_portal_s(
    limiter: RateLimiter, settings: Settings, own: str, default: str, expected: tuple[str, int, int]
) -> None:
    settings.KEYPORTAL_RATE_LIMIT = default
    quota = hit(limiter, own)
    policy, amount, window = expected
    assert (quota.policy, quota.amount, quota.window, quota.remaining, quota.reset) == (*expected, amount - 1, window)
    assert quota.headers() == {
        "RateLimit-Policy": f'"{policy}";q={amount};w={window}',
        "RateLimit": f'"{policy}";r={amount - 1};t={window}',
    }


def test_without_a_limit_nothing_is_counted(limiter: RateLimiter, settings: Settings) -> None:
    settings.KEYPORTAL_RATE_LIMIT = ""
    assert limiter.hit("key_1", "") is None


def test_credentials_and_limits_are_counted_apart(limiter: RateLimiter) -> None:
    assert [hit(limiter, "1/hour", name).is_exceeded for name in ("a", "b", "a", "b")] == [False, False, True, True]
    assert not hit(limiter, "2/hour", "a").is_exceeded


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("1/second", 1, 1),
        ("100/minute", 100, 60),
        ("5000 per 2 hours", 5000, 7200),
        (f"{MAX_CALLS}/day", 10**9, 86400),
        ("7/366 days", 7, 366 * 86400),
        ("1/minute" + " " * 32, 1, 60),
    ],
)
def test_limits_up_to_the_bounds_are_read(text: str, amount: int, seconds: int) -> None:
    item = parse_rate_limit(text)
    assert (item.amount, item.get_expiry()) == (amount, seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{MAX_CALLS + 1}/day", "1000000001/day is not one rate limit, such as 100/minute"),
        ("7/367 days", "7/367 days is not one rate limit, such as 100/minute"),
        ("0/day", "0/day is not one rate limit, such as 100/minute"),
        ("1/day;2/day", "1/day;2/day is not one rate limit, such as 100/minute"),
        ("1/minute" + " " * 33, "a rate limit is shorter"),
    ],
)
def test_limits_beyond_the_bounds_are_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_rate_limit(text)
    assert str(error.value) == message
