"""`POST /api/v1/usage` of a portal in memory: what verifiers judged themselves."""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any, Final

from keyportal_client.refusals import REASONS
from keyportal_client.testing import members
from keyportal_client.testing.members import InvalidMemberError, Reader, text_where
from keyportal_client.testing.replies import Reply, invalid
from keyportal_client.testing.state import Calls, State
from keyportal_client.verifying.client_address import client_address
from keyportal_client.verifying.reports import ACCEPTED, HOUR, MAX_ENTRIES

MAX_COUNT: Final = 10**9
MAX_ADDRESSES: Final = 20
MAX_AGE: Final = 23
"""Hours."""
REQUIRED: Final = ("credential", "entry_point", "outcome", "hour", "count")


def report(state: State, body: bytes) -> Reply:
    """Count a batch, once. Raises `ProblemError`."""
    sent = members.read(state.url, members.parse(state.url, body), BATCH, BATCH)
    calls = sent["calls"]
    if errors := [_too_old(place) for place, each in enumerate(calls) if not _is_recent(each["hour"], state.seconds)]:
        raise invalid(state.url, errors)
    left_out = [place for place, each in enumerate(calls) if not state.knows(each["credential"])]
    is_new = sent["batch"] not in state.batches
    if is_new:
        state.batches.add(sent["batch"])
        for each in (each for place, each in enumerate(calls) if place not in left_out):
            state.calls[Calls(each["credential"], each["entry_point"], each["outcome"])] += each["count"]
    return Reply({"is_new": is_new, "left_out": left_out}, HTTPStatus.ACCEPTED)


def _too_old(place: int) -> tuple[str, str]:
    return f"/calls/{place}/hour", f"Send an hour of the last {MAX_AGE}."


def _is_recent(hour: int, now: float) -> bool:
    return now / HOUR - MAX_AGE - 1 < hour <= now / HOUR + 1


def _matches(pattern: str, advice: str) -> Reader:
    return text_where(re.compile(pattern, re.ASCII).fullmatch, advice)


def _calls(value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ENTRIES:
        raise InvalidMemberError(("", f"Send a list of 1 to {MAX_ENTRIES} entries."))
    entries, errors = [], []
    for place, sent in enumerate(value):
        try:
            entries.append(members.read_members(sent, ENTRY, REQUIRED))
        except InvalidMemberError as error:
            errors += [(f"/{place}{pointer}", detail) for pointer, detail in error.errors]
    if errors:
        raise InvalidMemberError(*errors)
    return entries


def _hour(value: Any) -> int:
    text = _WHOLE_HOUR(value)
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise InvalidMemberError(("", "Send a moment that exists.")) from None
    return int(at.timestamp()) // HOUR


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MAX_COUNT:  # a bool is an int to isinstance
        raise InvalidMemberError(("", f"Send a number from 1 to {MAX_COUNT}."))
    return value


def _addresses(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_ADDRESSES:
        raise InvalidMemberError(("", f"Send a list of at most {MAX_ADDRESSES} addresses."))
    if not all(isinstance(text, str) and client_address(text).address for text in value):
        raise InvalidMemberError(("", "Send IPv4 or IPv6 addresses."))
    return value


_WHOLE_HOUR: Final = _matches(
    r"\d{4}-\d\d-\d\dT\d\d:00:00Z", "Send the hour's first moment, such as 2026-02-03T12:00:00Z."
)
ENTRY: Final[Mapping[str, Reader]] = {
    "credential": _matches("(key|usr)_[0-9A-Za-z]{22}", "Send the id of a key, or of an account."),
    "secret": _matches("sec_[0-9A-Za-z]{22}", "Send the id of a key's secret."),
    "entry_point": _matches("[a-z][a-z0-9_]{0,15}", "Send 1 to 16 small letters, digits and _."),
    "outcome": text_where({ACCEPTED, *REASONS}.__contains__, f"Send {ACCEPTED}, or the code of a refusal."),
    "hour": _hour,
    "count": _count,
    "addresses": _addresses,
}
BATCH: Final[Mapping[str, Reader]] = {
    "batch": _matches("[0-9A-Za-z_-]{16,64}", "Send 16 to 64 letters, digits, - and _, random for each batch."),
    "calls": _calls,
}
