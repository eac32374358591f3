"""Access tokens: JSON Web Tokens in the profile of RFC 9068, signed with the signing ring.

PyJWT makes and checks the signature. `read` accepts only what `sign` writes, and nothing that merely resembles it:
three canonical segments, a header of exactly three members, the key that its `kid` names and that key's one algorithm,
every claim present and within its bounds (`vault.claims`). PyJWT alone would also accept a padded segment, a duplicate
member, `NaN`, a time written as text, a list of audiences, a token of any `typ` and one without an expiry (RFC 8725
§3).
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from vault.claims import Claims
from vault.errors import TokenError, TokenForAnotherError, TokenInvalidError, UnknownKeyError
from vault.signing_keys import KEY_TYPES, SigningKey, SigningRing

__all__ = ["Claims", "TokenExpiredError", "read", "sign"]

TYPE: Final = "at+jwt"
TYPES: Final = (TYPE, f"application/{TYPE}")
MAX_LENGTH: Final = 8192  # characters: what fits into a header
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER: Final = {"alg", "kid", "typ"}
_jws: Final = PyJWS(algorithms=list(KEY_TYPES))


class TokenExpiredError(TokenError):
    """The token is genuine, but has expired. Carries its claims."""

    def __init__(self, claims: Claims) -> None:
        super().__init__("expired")
        self.claims = claims


def sign(ring: SigningRing, claims: Claims) -> str:
    """Return the token for these claims, signed with the ring's primary key.

    Raises `TokenInvalidError` for claims that `read` would refuse.
    """
    return sign_as(TYPE, ring.primary, claims.as_payload())


def sign_as(kind: str, key: SigningKey, payload: Mapping[str, object]) -> str:
    """Return a token of this type (`typ`, RFC 8725 §3.11). Each type is accepted only where it is expected."""
    raw = json.dumps(payload, separators=(",", ":")).encode()
    return _jws.encode(raw, key.private, algorithm=key.algorithm, headers={"kid": key.id, "typ": kind})


def read(ring: SigningRing, token: str, *, issuer: str, audience: str | None, now: float, leeway: int) -> Claims:
    """Return the claims of a token that this ring signed for this issuer and audience and that is valid now.

    With None for `audience`, a token for any audience is accepted. `now` is in seconds since 1970, `leeway` in seconds.
    Raises `TokenExpiredError`, which carries the claims, for a genuine token that has expired, `TokenForAnotherError`
    for one with another audience, and `TokenInvalidError` for everything else, whatever the bytes.
    """
    payload = _verified_payload(ring, token)
    claims = Claims.of_payload(payload)
    if claims.issuer != issuer:
        raise TokenInvalidError("issued by another issuer")
    if audience not in (None, claims.audience):
        raise TokenForAnotherError("issued for another audience")
    if max(claims.issued_at, payload["nbf"]) > now + leeway:
        raise TokenInvalidError("issued in the future")
    if claims.expires_at <= now - leeway:
        raise TokenExpiredError(claims)
    return claims


def _verified_payload(ring: SigningRing, token: str) -> Mapping[str, Any]:
    if len(token) > MAX_LENGTH or (segments := _COMPACT.fullmatch(token)) is None:
        raise TokenInvalidError("not a compact JWS")
    try:
        # Not verified yet, and used only to choose the key: PyJWT reads the header again and checks it.
        header = _object(base64.urlsafe_b64decode(segments[1] + "=="))
        key = ring[header["kid"]] if isinstance(header.get("kid"), str) else None
        if key is None or header.keys() != _HEADER or header["alg"] != key.algorithm:
            raise TokenInvalidError("not one of our headers")
        if not isinstance(header["typ"], str) or header["typ"].lower() not in TYPES:
            raise TokenInvalidError("another type of token")
        return _object(_jws.decode(token, key.public, algorithms=[key.algorithm]))
    except (PyJWTError, UnknownKeyError, ValueError, RecursionError) as error:
        raise TokenInvalidError("not signed by a key of the ring") from error


def _object(raw: bytes) -> dict[str, Any]:
    """Return a JSON object without duplicate members (RFC 7515 §4, RFC 7519 §4) and NaN.

    Raises ValueError if the bytes are not JSON, `TokenInvalidError` for any other fault.
    """
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
    raise TokenInvalidError(f"{name} is not JSON")
