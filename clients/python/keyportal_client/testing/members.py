"""Read a JSON body as strictly as the portal does, and point at each mistake without repeating any value."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from keyportal_client.testing.replies import invalid, problem

Reader = Callable[[Any], Any]
"""Returns the value of a member. Raises `InvalidMemberError`."""
Error = tuple[str, str]
"""A JSON pointer, and what to send instead."""
_QUOTABLE: Final = re.compile(r"[A-Za-z_-]{1,32}")
"""Names of members that are no misplaced value."""


class InvalidMemberError(Exception):
    """A member has an invalid value. The arguments are the errors, whose pointers begin at the member."""

    def __init__(self, *errors: Error) -> None:
        super().__init__(*errors)
        self.errors = errors


def parse(portal: str, body: bytes) -> Any:
    """Return the JSON of a body. Raises `ProblemError`."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise problem(portal, "malformed_body") from None


def read(portal: str, sent: Any, readers: Mapping[str, Reader], required: Iterable[str]) -> dict[str, Any]:
    """Return the values of a body's members. Raises `ProblemError`."""
    try:
        return read_members(sent, readers, required)
    except InvalidMemberError as error:
        raise invalid(portal, error.errors) from None


def read_members(sent: Any, readers: Mapping[str, Reader], required: Iterable[str]) -> dict[str, Any]:
    """Return the values of the members of an object. Null is the same as nothing. Raises `InvalidMemberError`."""
    if not isinstance(sent, dict):
        raise InvalidMemberError(("", "Send one JSON object."))
    values: dict[str, Any] = {}
    errors: list[Error] = []
    wrong: set[str] = set()
    for name, value in sent.items():
        if name not in readers:
            errors.append((f"/{name}" if _QUOTABLE.fullmatch(name) else "", "This member is unknown."))
        elif value is not None:
            try:
                values[name] = readers[name](value)
            except InvalidMemberError as error:
                wrong.add(name)
                errors += [(f"/{name}{pointer}", detail) for pointer, detail in error.errors]
    errors += [(f"/{name}", "Send this member.") for name in required if name not in values.keys() | wrong]
    if errors:
        raise InvalidMemberError(*errors)
    return values


def text_where(is_good: Callable[[str], object], advice: str) -> Reader:
    """Return what reads a text that meets a condition."""

    def reader(value: Any) -> str:
        if not isinstance(value, str) or not is_good(value):
            raise InvalidMemberError(("", advice))
        return value

    return reader
