"""Times of RFC 3339, as the portal writes them."""

import re
from datetime import datetime, timezone
from typing import Final

_FRACTION: Final = re.compile(r"\.(\d{1,9})", re.ASCII)


def time_of(text: str) -> datetime:
    """Return a time of RFC 3339 in UTC. Raises ValueError, OverflowError."""
    # Python 3.10 reads neither Z nor fractions of any length.
    whole = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text, count=1)
    at = datetime.fromisoformat(f"{whole[:-1]}+00:00" if whole.endswith(("Z", "z")) else whole)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(timezone.utc)
