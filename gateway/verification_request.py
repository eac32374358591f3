"""Parse the body of `POST /api/v1/verify`, pointing at each mistake without repeating any value."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from rest_framework.exceptions import ValidationError

from audit.client_address import Address, parse_address
from credentials.json_body import parse, unknown_members
from vault.claims import MAX_TEXT

MAX_CREDENTIAL: Final = 8192
"""Characters of a credential."""
MAX_SCOPE_LENGTH: Final = 200
MAX_SCOPES: Final = 100
ENVIRONMENTS: Final = ("live", "test")


class VerificationRequest(NamedTuple):
    """The members `{credential, scope or scopes?, environment?, audience?, client_ip?}`."""

    credential: str
    scopes: tuple[str, ...]
    environment: str | None
    audience: str | None
    """The audience that a token must have; None for the portal's own."""
    address: Address | None


class _InvalidMemberError(Exception):
    """A member has an invalid value."""


def parse_body(body: bytes | bytearray) -> VerificationRequest:
    """Return the parsed body. Raises `ParseError`, or `ValidationError` with every mistake."""
    sent = parse(body)
    if not isinstance(sent, dict):
        raise ValidationError({"non_field_errors": ["Send one JSON object."]})
    values: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    is_odd = False
    for name, value in sent.items():
        reader = READERS.get(name)
        if reader is None:
            is_odd = True
        elif value is not None:  # null is the same as leaving it out
            try:
                values[name] = reader(value)
            except _InvalidMemberError as error:
                errors[name] = error.args[0]
    if is_odd:
        errors |= unknown_members(sent, READERS)
    if "credential" not in values and "credential" not in errors:
        errors["credential"] = ["Send the credential that you received."]
    if "scope" in values and "scopes" in values:
        errors["scope"] = ["Send either scope or scopes."]
    if errors:
        raise ValidationError(errors)
    scopes = values.get("scopes") or values.get("scope") or ()
    found = values.get
    return VerificationRequest(
        values["credential"], scopes, found("environment"), found("audience"), found("client_ip")
    )


def _credential(value: object) -> str:
    if not isinstance(value, str):
        raise _InvalidMemberError(["Send a string."])
    if not value or len(value) > MAX_CREDENTIAL:
        raise _InvalidMemberError([f"Send 1 to {MAX_CREDENTIAL} characters."])
    return value


def _scope(value: object) -> tuple[str, ...]:
    if not isinstance(value, str):
        raise _InvalidMemberError(["Send a string of names separated by spaces (RFC 6749 §3.3)."])
    return _scopes([name for name in value.split(" ") if name])


def _scopes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_SCOPES:
        raise _InvalidMemberError([f"Send a list of at most {MAX_SCOPES} names."])
    wrong = {
        str(place): [f"Send a name of 1 to {MAX_SCOPE_LENGTH} characters."]
        for place, name in enumerate(value)
        if not isinstance(name, str) or not name or len(name) > MAX_SCOPE_LENGTH
    }
    if wrong:
        raise _InvalidMemberError(wrong)
    return tuple(value)


def _environment(value: object) -> str:
    if not isinstance(value, str) or value not in ENVIRONMENTS:
        raise _InvalidMemberError(["Send live or test."])
    return value


def _audience(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise _InvalidMemberError([f"Send your service's name, 1 to {MAX_TEXT} characters."])
    return value


def _client_ip(value: object) -> Address:
    address = parse_address(value) if isinstance(value, str) else None
    if address is None:
        raise _InvalidMemberError(["Send an IPv4 or IPv6 address."])
    return address


READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "credential": _credential,
    "scope": _scope,
    "scopes": _scopes,
    "environment": _environment,
    "audience": _audience,
    "client_ip": _client_ip,
}
