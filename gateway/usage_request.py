"""Parse the body of `POST /api/v1/usage`, pointing at each mistake without repeating any value."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rest_framework.exceptions import ValidationError

from audit.client_address import Address, parse_address
from credentials.json_body import parse
from credentials.refusals import REASONS
from credentials.usage.counters import ACCEPTED, HOUR
from gateway.members import InvalidMemberError, Reader, read_members
from vault.secret_format import id_pattern

MAX_CALLS: Final = 200
"""Entries of a batch."""
MAX_COUNT: Final = 10**9
MAX_ADDRESSES: Final = 20
MAX_AGE: Final = 23
"""Hours. The portal forgets the id of a batch in the end; what is older can't be told from a batch that it knew."""
MAX_AHEAD: Final = 1
"""Hours, for clocks that differ. The id of a batch is known for longer than both together (`BATCH_KNOWN_FOR`)."""
OUTCOMES: Final = frozenset({ACCEPTED, *REASONS})
_BATCH: Final = re.compile(r"[0-9A-Za-z_-]{16,64}")
_CREDENTIAL: Final = re.compile(f"{id_pattern('key')}|{id_pattern('usr')}")
_SECRET: Final = re.compile(id_pattern("sec"))
_ENTRY_POINT: Final = re.compile(r"[a-z][a-z0-9_]{0,15}")
_HOUR: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:00:00Z", re.ASCII)


class ReportedCalls(NamedTuple):
    """Calls of one hour with one outcome."""

    credential: str
    """`key_…`, also for tokens issued for the key; `usr_…` for those of a log-in."""
    entry_point: str
    outcome: str
    hour: int
    """Hours since 1970."""
    amount: int
    secret: str = ""
    addresses: tuple[Address, ...] = ()


class UsageRequest(NamedTuple):
    """A batch of calls."""

    batch: str
    calls: tuple[ReportedCalls, ...]


def parse_body(body: bytes | bytearray, *, now: float) -> UsageRequest:
    """Return the parsed body. `now` is in seconds since 1970. Raises `ParseError`, or `ValidationError`."""
    values, errors = read_members(parse(body), {"batch": _batch, "calls": _list_of_calls})
    for name in ("batch", "calls"):
        if name not in values and name not in errors:
            errors[name] = ["Send this member."]
    calls: list[ReportedCalls] = []
    of_calls: dict[str, Any] = {}
    for place, sent in enumerate(values.get("calls", ())):
        try:
            calls.append(_calls(sent, now))
        except ValidationError as error:
            of_calls[str(place)] = error.detail
    if of_calls:
        errors["calls"] = of_calls
    if errors:
        raise ValidationError(errors)
    return UsageRequest(values["batch"], tuple(calls))


def _calls(sent: object, now: float) -> ReportedCalls:
    values, errors = read_members(sent, READERS)
    for name in REQUIRED:
        if name not in values and name not in errors:
            errors[name] = ["Send this member."]
    if "hour" in values and not now / HOUR - MAX_AGE - 1 < values["hour"] <= now / HOUR + MAX_AHEAD:
        errors["hour"] = [f"Send an hour of the last {MAX_AGE}."]
    if errors:
        raise ValidationError(errors)
    return ReportedCalls(**{"amount" if name == "count" else name: value for name, value in values.items()})


def _batch(value: object) -> str:
    return _matching(value, _BATCH, "Send 16 to 64 letters, digits, - and _, random for each batch.")


def _list_of_calls(value: object) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CALLS:
        raise InvalidMemberError([f"Send a list of 1 to {MAX_CALLS} entries."])
    return value


def _outcome(value: object) -> str:
    if not isinstance(value, str) or value not in OUTCOMES:
        raise InvalidMemberError([f"Send {ACCEPTED}, or the code of a refusal."])
    return value


def _hour(value: object) -> int:
    text = _matching(value, _HOUR, "Send the hour's first moment, such as 2026-02-03T12:00:00Z.")
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidMemberError(["Send a moment that exists."]) from None
    return int(at.timestamp()) // HOUR


def _count(value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_COUNT:  # a bool is an int to isinstance
        raise InvalidMemberError([f"Send a number from 1 to {MAX_COUNT}."])
    return value


def _addresses(value: object) -> tuple[Address, ...]:
    if not isinstance(value, list) or len(value) > MAX_ADDRESSES:
        raise InvalidMemberError([f"Send a list of at most {MAX_ADDRESSES} addresses."])
    found = [parse_address(text) if isinstance(text, str) else None for text in value]
    if None in found:
        raise InvalidMemberError(["Send IPv4 or IPv6 addresses."])
    return tuple(address for address in found if address is not None)


def _matching(value: object, pattern: re.Pattern[str], advice: str) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise InvalidMemberError([advice])
    return value


READERS: Final[Mapping[str, Reader]] = {
    "credential": lambda value: _matching(value, _CREDENTIAL, "Send the id of a key, or of an account."),
    "secret": lambda value: _matching(value, _SECRET, "Send the id of a key's secret."),
    "entry_point": lambda value: _matching(value, _ENTRY_POINT, "Send 1 to 16 small letters, digits and _."),
    "outcome": _outcome,
    "hour": _hour,
    "count": _count,
    "addresses": _addresses,
}
REQUIRED: Final = ("credential", "entry_point", "outcome", "hour", "count")
