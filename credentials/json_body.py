"""Strict parsing of JSON bodies: unknown members are refused, because one may be meant to narrow the request."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from typing_extensions import override

MEANT: Final = {
    "token": "credential",
    "key": "credential",
    "secret": "credential",
    "ip": "client_ip",
    "address": "client_ip",
    "env": "environment",
    "aud": "audience",
    "audience": "resource",
    "resource": "audience",
}
"""Names that other APIs use, with the member that is probably meant."""
_NAME: Final = re.compile(r"[A-Za-z_-]{1,32}")
MAX_UNKNOWN: Final = 10
"""Unknown names that an answer reports at most; a body with more was meant for another endpoint."""
BOM: Final = "\ufeff"
SPACE: Final = " \t\n\r"


def parse(body: bytes | bytearray) -> Any:
    """Return the value of a JSON body (RFC 8259) in UTF-8.

    Raises `ParseError`, also for a duplicate member, NaN and Infinity, a lone surrogate, and nesting that is too deep.
    """
    try:
        text = body.decode().removeprefix(BOM).strip(SPACE)
        value, end = _DECODER.raw_decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # raises for a lone surrogate, which would break later code
    except (ValueError, RecursionError) as error:
        raise ParseError("not JSON") from error
    if end != len(text):
        raise ParseError("not JSON")
    return value


def unknown_members(sent: Iterable[str], known: Collection[str], *, what: str = "member") -> dict[str, list[str]]:
    """Return error messages for the unknown names, by name. A name that may be a misplaced value is not repeated."""
    errors: dict[str, list[str]] = {}
    unknown = (name for name in sent if name not in known)
    for name in islice(unknown, MAX_UNKNOWN):  # finding a close match is slow
        meant = _suggestion(name, known)
        quotable = name if _NAME.fullmatch(name) else "non_field_errors"
        errors[quotable] = [f"This {what} is unknown." + (f" Did you mean “{meant}”?" if meant else "")]
    return errors


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses unknown members. `null` for an optional member is the same as leaving it out."""

    default_error_messages: ClassVar = {"invalid": "Send a JSON object."}

    @override
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        optional = {name for name, field in self.fields.items() if not field.required}
        given = {name: value for name, value in data.items() if value is not None or name not in optional}
        errors: dict[str, Any] = unknown_members(data, self.fields)
        try:
            values = super().to_internal_value(given)
        except ValidationError as error:
            if not isinstance(error.detail, dict):
                raise
            errors |= error.detail
        if errors:
            raise ValidationError(errors)
        return values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member stands twice")
    return value


def _refuse(constant: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)


def _suggestion(name: str, known: Collection[str]) -> str:
    spelled = name[:64].lower().replace("-", "_")
    if (other := MEANT.get(spelled, "")) in known:
        return other
    return next(iter(get_close_matches(spelled, known, n=1)), "")
