"""Times as people write and read them. All of them are UTC."""

import re
from datetime import MAXYEAR, datetime, timedelta, timezone
from typing import Any, Final

import click

from keyportal_client.times import time_of

NEVER: Final = "never"
_DURATION: Final = re.compile(r"([0-9]{1,100})([mhd])", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class MomentType(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions
    """A moment to come: a date (its end), a time, or from now on, such as 30d. Converts to RFC 3339."""

    name = "moment"

    def __init__(self, *, takes_never: bool) -> None:
        self._takes_never = takes_never

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the moment, or `NEVER`. Ends with a usage error for anything else."""
        text = str(value).strip()
        if text == NEVER and self._takes_never:
            return NEVER
        try:
            return _rfc3339(_moment(text))
        except OverflowError:
            return self.fail(f"This is too far ahead. The last year is {MAXYEAR}.", param, ctx)
        except ValueError:
            return self.fail(f"Write {self._expected()}.", param, ctx)

    def _expected(self) -> str:
        forms = "a date such as 2027-01-31, a time such as 2027-01-31T12:00Z, or a duration such as 30d or 12h"
        return f"{forms}; or never" if self._takes_never else forms


def shown_time(text: str | None, *, absent: str = "never") -> str:
    """Return a time of the API for a person."""
    if text is None:
        return absent
    try:
        return f"{time_of(text):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return text


def _moment(text: str) -> datetime:
    """Return the moment that a text means. Raises ValueError, OverflowError."""
    if match := _DURATION.fullmatch(text):
        return datetime.now(timezone.utc) + timedelta(**{_UNITS[match[2]]: int(match[1])})
    if _DATE.fullmatch(text):
        return datetime.fromisoformat(f"{text}T23:59:59+00:00")
    return time_of(text)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
