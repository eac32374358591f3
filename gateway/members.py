"""Read the members of a JSON object, each with its own function, and collect what is wrong with each of them."""

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

from credentials.json_body import unknown_members

Reader = Callable[[object], Any]
"""Returns the value of a member. Raises `InvalidMemberError`."""


class InvalidMemberError(Exception):
    """A member has an invalid value. The argument says what to send instead, and never quotes the value."""


def read_members(sent: object, readers: Mapping[str, Reader]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values and the errors by member. `null` is the same as leaving a member out.

    Raises `ValidationError` if it is no object.
    """
    if not isinstance(sent, dict):
        raise ValidationError({"non_field_errors": ["Send one JSON object."]})
    values: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    is_odd = False
    for name, value in sent.items():
        reader = readers.get(name)
        if reader is None:
            is_odd = True
        elif value is not None:
            try:
                values[name] = reader(value)
            except InvalidMemberError as error:
                errors[name] = error.args[0]
    if is_odd:
        errors |= unknown_members(sent, readers)
    return values, errors
