"""How an overlap is written: `0`, or a number with its unit, such as `90m`, `24h` or `30d`."""

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION: Final = re.compile(r"([0-9]{1,6})([mhd])")
MAX_OVERLAP: Final = timedelta(days=90)
EXPECTED: Final = "Send 0, or a number of minutes, hours or days such as “90m”, “24h” or “30d”, up to 90 days."


def parse_overlap(value: object) -> timedelta:
    """Return the overlap of the number 0 or a text. Raises ValueError for anything else, and beyond `MAX_OVERLAP`."""
    if value in ("0", 0) and not isinstance(value, bool):
        return timedelta(0)
    overlap = parse_duration(value)
    if overlap > MAX_OVERLAP:
        raise ValueError(EXPECTED)
    return overlap


def parse_duration(value: object) -> timedelta:
    """Return the duration of a number with its unit. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(EXPECTED)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
