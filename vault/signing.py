"""Access tokens: JSON Web Tokens in the profile of RFC 9068, signed under the signing ring.

PyJWT makes and checks the signature. What is read here is only what `sign` writes, and nothing that merely resembles
it: three canonical segments, one header of three members, one key chosen by its `kid` and that key's one algorithm,
every claim there and of its type. PyJWT by itself would also take a padded segment, a doubled member, `NaN`, a time
written as text, a list of audiences, a token of any `typ` and one without an expiry (RFC 8725 §3).
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from vault.errors import TokenError, TokenInvalidError, UnknownKeyError
from vault.signing_keys import KEY_TYPES, SigningRing

TYPE: Final = "at+jwt"
TYPES: Final = (TYPE, f"application/{TYPE}")
MAX_LENGTH: Final = 8192  # characters: what fits into a header
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER: Final = {"alg", "kid", "typ"}
_LATEST: Final = 2**53  # the last integer that every JSON reader agrees about
_jws: Final = PyJWS(algorithms=list(KEY_TYPES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says (RFC 9068 §2.2). Times are whole seconds since 1970, UTC."""

    issuer: str
    subject: str
    """`user:usr_…` or `key:key_…`: the two can't be taken for each other."""
    audience: str
    client_id: str
    token_id: str
    scope: str
    issued_at: int
    expires_at: int
    environment: str
    epoch: int
    """The owner's `auth_epoch` when the token was issued: raising it ends the token."""
    family: str | None = None
    """The log-in that the token comes from (`sid`); None for one that a key was swapped for."""


class TokenExpiredError(TokenError):
    """A token of ours whose time is over."""

    def __init__(self, claims: Claims) -> None:
        super().__init__("expired")
        self.claims = claims


def sign(ring: SigningRing, claims: Claims) -> str:
    """Give the token for these claims, under the ring's first key."""
    key = ring.primary
    payload: dict[str, str | int] = {
        "iss": claims.issuer,
        "sub": claims.subject,
        "aud": claims.audience,
        "client_id": claims.client_id,
        "jti": claims.token_id,
        "scope": claims.scope,
        "iat": claims.issued_at,
        "nbf": claims.issued_at,
        "exp": claims.expires_at,
        "environment": claims.environment,
        "auth_epoch": claims.epoch,
    }
    if claims.family:
        payload["sid"] = claims.family
    raw = json.dumps(payload, separators=(",", ":")).encode()
    return _jws.encode(raw, key.private, algorithm=key.algorithm, headers={"kid": key.id, "typ": TYPE})


def read(ring: SigningRing, token: str, *, issuer: str, audience: str, now: float, leeway: int) -> Claims:
    """Give the claims of a token that this ring signed for this issuer and audience and that is good now.

    `now` and `leeway` are seconds. Raises `TokenExpiredError`, which carries the claims, for a genuine token that is
    over, and `TokenInvalidError` for everything else, whatever the bytes.
    """
    payload = _verified_payload(ring, token)
    claims = _claims(payload)
    if claims.issuer != issuer or claims.audience != audience:
        raise TokenInvalidError("issued by or for somebody else")
    if max(claims.issued_at, _time(payload, "nbf")) > now + leeway:
        raise TokenInvalidError("issued in the future")
    if claims.expires_at <= now - leeway:
        raise TokenExpiredError(claims)
    return claims


def _verified_payload(ring: SigningRing, token: str) -> Mapping[str, Any]:
    if len(token) > MAX_LENGTH or (segments := _COMPACT.fullmatch(token)) is None:
        raise TokenInvalidError("not a compact JWS")
    try:
        # Unverified, and only to choose the key: PyJWT reads it again and checks it.
        header = _object(base64.urlsafe_b64decode(segments[1] + "=="))
        key = ring[header["kid"]] if isinstance(header.get("kid"), str) else None
        if key is None or header.keys() != _HEADER or header["alg"] != key.algorithm:
            raise TokenInvalidError("not a header of ours")
        if not isinstance(header["typ"], str) or header["typ"].lower() not in TYPES:
            raise TokenInvalidError("another type of token")
        return _object(_jws.decode(token, key.public, algorithms=[key.algorithm]))
    except (PyJWTError, UnknownKeyError, ValueError, RecursionError) as error:
        raise TokenInvalidError("not signed by a key of the ring") from error


def _object(raw: bytes) -> dict[str, Any]:
    """Read one JSON object; no member twice (RFC 7515 §4, RFC 7519 §4), no NaN. Raises ValueError."""
    value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise TokenInvalidError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenInvalidError("a member twice")
    return members


def _refuse_constant(name: str) -> None:
    raise TokenInvalidError(f"{name} is no JSON")


def _claims(payload: Mapping[str, Any]) -> Claims:
    return Claims(
        issuer=_text(payload, "iss"),
        subject=_text(payload, "sub"),
        audience=_text(payload, "aud"),
        client_id=_text(payload, "client_id"),
        token_id=_text(payload, "jti"),
        scope=_text(payload, "scope"),
        issued_at=_time(payload, "iat"),
        expires_at=_time(payload, "exp"),
        environment=_text(payload, "environment"),
        epoch=_time(payload, "auth_epoch"),
        family=_text(payload, "sid") if "sid" in payload else None,
    )


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str):
        raise TokenInvalidError(f"{name} is missing or no text")
    return value


def _time(payload: Mapping[str, Any], name: str) -> int:
    value = payload.get(name)
    if type(value) is not int or not 0 <= value <= _LATEST:  # a bool is an int to isinstance
        raise TokenInvalidError(f"{name} is missing or no whole number")
    return value
