"""Parse the body of `POST /api/v1/verify`, pointing at each mistake without repeating any value."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from rest_framework.exceptions import ValidationError

from audit.client_address import Address, parse_address
from credentials.json_body import parse
from gateway.members import InvalidMemberError, Reader, read_members
from vault.claims import MAX_TEXT

MAX_CREDENTIAL: Final = 8192
"""Characters of a credential."""
MAX_CREDENTIALS: Final = 100
MAX_SCOPE_LENGTH: Final = 200
MAX_SCOPES: Final = 100
ENVIRONMENTS: Final = ("live", "test")


class VerificationRequest(NamedTuple):
    """What a service asks: which credentials, and what must be true of them."""

    credentials: tuple[str, ...]
    is_one: bool
    """Whether there is one answer, and not a list of them."""
    scopes: tuple[str, ...]
    environment: str | None
    audience: str | None
    """The audience that a token must have; None for the portal's own."""
    address: Address | None
    wants_record: bool
    """Whether the service judges the next calls itself."""
    assertion: str | None
    """The audience of the signed identity that the service wants."""

    @property
    def needs_cursor(self) -> bool:
        """Whether the service is told of which moment the answer is."""
        return self.wants_record or not self.is_one


def parse_body(body: bytes | bytearray) -> VerificationRequest:
    """Return the parsed body. Raises `ParseError`, or `ValidationError` with every mistake."""
    values, errors = read_members(parse(body), READERS)
    errors |= _missing_or_double(values.keys() | errors.keys())
    if errors:
        raise ValidationError(errors)
    return _request(values.get)


def _missing_or_double(sent: Collection[str]) -> dict[str, list[str]]:
    """Return the errors of what must be sent once, in one of two ways."""
    double = {
        one: [f"Send either {one} or {other}."]
        for one, other in (("credential", "credentials"), ("scope", "scopes"))
        if one in sent and other in sent
    }
    if "credential" in sent or "credentials" in sent:
        return double
    return double | {"credential": ["Send the credential that you received."]}


def _request(found: Callable[[str], Any]) -> VerificationRequest:
    one = found("credential")
    return VerificationRequest(
        credentials=(one,) if one else found("credentials"),
        is_one=one is not None,
        scopes=found("scopes") or found("scope") or (),
        environment=found("environment"),
        audience=found("audience"),
        address=found("client_ip"),
        wants_record=bool(found("record")),
        assertion=found("assertion"),
    )


def _credential(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidMemberError(["Send a string."])
    if not value or len(value) > MAX_CREDENTIAL:
        raise InvalidMemberError([f"Send 1 to {MAX_CREDENTIAL} characters."])
    return value


def _credentials(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CREDENTIALS:
        raise InvalidMemberError([f"Send a list of 1 to {MAX_CREDENTIALS} credentials."])
    wrong: dict[str, object] = {}
    for place, text in enumerate(value):
        try:
            _credential(text)
        except InvalidMemberError as error:
            wrong[str(place)] = error.args[0]
    if wrong:
        raise InvalidMemberError(wrong)
    return tuple(value)


def _record(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidMemberError(["Send true or false."])
    return value


def _scope(value: object) -> tuple[str, ...]:
    if not isinstance(value, str):
        raise InvalidMemberError(["Send a string of names separated by spaces (RFC 6749 §3.3)."])
    return _scopes([name for name in value.split(" ") if name])


def _scopes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_SCOPES:
        raise InvalidMemberError([f"Send a list of at most {MAX_SCOPES} names."])
    wrong = {
        str(place): [f"Send a name of 1 to {MAX_SCOPE_LENGTH} characters."]
        for place, name in enumerate(value)
        if not isinstance(name, str) or not name or len(name) > MAX_SCOPE_LENGTH
    }
    if wrong:
        raise InvalidMemberError(wrong)
    return tuple(value)


def _environment(value: object) -> str:
    if not isinstance(value, str) or value not in ENVIRONMENTS:
        raise InvalidMemberError(["Send live or test."])
    return value


def _audience(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise InvalidMemberError([f"Send your service's name, 1 to {MAX_TEXT} characters."])
    return value


def _client_ip(value: object) -> Address:
    address = parse_address(value) if isinstance(value, str) else None
    if address is None:
        raise InvalidMemberError(["Send an IPv4 or IPv6 address."])
    return address


READERS: Final[Mapping[str, Reader]] = {
    "credential": _credential,
    "credentials": _credentials,
    "scope": _scope,
    "scopes": _scopes,
    "environment": _environment,
    "audience": _audience,
    "client_ip": _client_ip,
    "record": _record,
    "assertion": _audience,
}
