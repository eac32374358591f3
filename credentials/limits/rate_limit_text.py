"""Parse rate limits such as `100/minute` and `5000 per 2 hours`. Needs no configured Django: settings use it."""

from functools import lru_cache
from typing import Final

from limits import RateLimitItem, parse_many

MAX_LENGTH: Final = 40  # characters of a limit
MAX_CALLS: Final = 10**9  # calls
YEAR: Final = 366 * 24 * 3600  # seconds of a window


@lru_cache(maxsize=256)
def parse_rate_limit(text: str) -> RateLimitItem:
    """Return the rate limit in a text. Raises ValueError for anything but one limit within bounds."""
    if len(text) > MAX_LENGTH:
        raise ValueError("a rate limit is shorter")
    item, *more = parse_many(text)
    if more or item.amount < 1 or item.amount > MAX_CALLS or item.get_expiry() > YEAR:
        raise ValueError(f"{text} is not one rate limit, such as 100/minute")
    return item
