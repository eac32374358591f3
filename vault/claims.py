"""The claims of a signed token (RFC 7519 §4, RFC 9068 §2.2), and the bounds on each of them.

A signature proves who wrote a claim, not that the claim makes sense: a holder of the signing key could write a time
after the year 9999, a text that no database stores, or an id that never existed. So every claim is checked against
what the portal itself issues before any code, query or answer uses it. Other token types pass the names of the claims
they need to `check_claims`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vault.errors import TokenInvalidError
from vault.secret_format import ENVIRONMENTS, id_pattern

LAST_SECOND: Final = 253_402_300_799  # of the year 9999, where Python's dates end
LAST_EPOCH: Final = 2**31 - 1  # what a PositiveIntegerField holds
MAX_LIFETIME: Final = 24 * 3600  # seconds; the portal's checks allow an hour
MAX_TEXT: Final = 200  # characters that a column for an issuer holds
ACCESS_TOKEN: Final = frozenset(
    ("iss", "sub", "aud", "client_id", "jti", "scope", "iat", "nbf", "exp", "environment", "auth_epoch")
)
"""The claims that every access token has. One from a log-in has `sid` as well, one from a key `secret_id`."""

_SCOPE: Final = r"[\x21\x23-\x5B\x5D-\x7E]{1,64}"  # RFC 6749 §3.3, of the length that the catalogue allows
_MAXIMA: Final[Mapping[str, int]] = {
    **dict.fromkeys(("iat", "nbf", "exp"), LAST_SECOND),
    "auth_epoch": LAST_EPOCH,
}
"""Claims that are whole numbers from 0 to this maximum."""
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "sub": re.compile(f"user:{id_pattern('usr')}|key:{id_pattern('key')}"),
    "client_id": re.compile(f"portal|{id_pattern('key')}"),
    "jti": re.compile(id_pattern("tok")),
    "sid": re.compile(id_pattern("fam")),
    "secret_id": re.compile(id_pattern("sec")),
    "scope": re.compile(f"(?:{_SCOPE}(?: {_SCOPE})*)?"),
    "environment": re.compile("|".join(ENVIRONMENTS)),
}
_PLAIN: Final = ("iss", "aud")
"""Claims that are printable text of at most `MAX_TEXT` characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of an access token. Times are whole seconds since 1970, UTC."""

    issuer: str
    subject: str
    """`user:usr_…` or `key:key_…`: the prefix keeps the two apart."""
    audience: str
    client_id: str
    token_id: str
    scope: str
    issued_at: int
    expires_at: int
    environment: str
    epoch: int
    """The owner's `auth_epoch` when the token was issued. Raising it ends the token."""
    family: str | None = None
    """The token family, and so the log-in, that the token comes from (`sid`); None for a token issued for a key."""
    secret_id: str | None = None
    """The id of the key's secret that was exchanged for the token, which ends with it; None for a log-in's."""

    @classmethod
    def of_payload(cls, payload: Mapping[str, Any]) -> "Claims":
        """Return the claims of a signed payload. Raises `TokenInvalidError` if one is missing or out of bounds."""
        check_claims(payload, needed=ACCESS_TOKEN)
        return cls(
            issuer=payload["iss"],
            subject=payload["sub"],
            audience=payload["aud"],
            client_id=payload["client_id"],
            token_id=payload["jti"],
            scope=payload["scope"],
            issued_at=payload["iat"],
            expires_at=payload["exp"],
            environment=payload["environment"],
            epoch=payload["auth_epoch"],
            family=payload.get("sid"),
            secret_id=payload.get("secret_id"),
        )

    def as_payload(self) -> dict[str, str | int]:
        """Return the claims by their registered names. Raises `TokenInvalidError` if `of_payload` would refuse them."""
        payload: dict[str, str | int] = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience,
            "client_id": self.client_id,
            "jti": self.token_id,
            "scope": self.scope,
            "iat": self.issued_at,
            "nbf": self.issued_at,
            "exp": self.expires_at,
            "environment": self.environment,
            "auth_epoch": self.epoch,
        }
        if self.family:
            payload["sid"] = self.family
        if self.secret_id:
            payload["secret_id"] = self.secret_id
        check_claims(payload, needed=ACCESS_TOKEN)
        return payload


def check_claims(payload: Mapping[str, Any], *, needed: Collection[str]) -> None:
    """Raise `TokenInvalidError` unless every needed claim is present and every known claim is within its bounds.

    `iat` and `exp` are always needed. The error names the claim and never its value. Unknown claims are ignored, as no
    code uses them.
    """
    for name in (*needed, "iat", "exp"):
        if name not in payload:
            raise TokenInvalidError(f"{name} is missing")
    for name, value in payload.items():
        if not _is_within_bounds(name, value):
            raise TokenInvalidError(f"{name} is out of bounds")
    if not 0 < payload["exp"] - payload["iat"] <= MAX_LIFETIME:
        raise TokenInvalidError("exp is out of bounds")


def _is_within_bounds(name: str, value: object) -> bool:
    """Return whether the value is allowed for a claim of this name; an unknown claim may hold anything."""
    if name in _MAXIMA:
        return type(value) is int and 0 <= value <= _MAXIMA[name]  # a bool is an int to isinstance
    if name in _PATTERNS:
        return isinstance(value, str) and _PATTERNS[name].fullmatch(value) is not None
    if name in _PLAIN:  # isprintable: no surrogate, no NUL, no control character
        return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()
    return True
