"""Signed tokens of the portal: their header, and their signature by the portal's published keys (RFC 7515, RFC 7517).

Needs PyJWT and cryptography, the extra `tokens`.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from keyportal_client.errors import ConfigurationError

try:
    import jwt
except ImportError:
    HAS_JWT = False
else:
    HAS_JWT = True
    _jws = jwt.PyJWS()

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256", "PS256")
"""Those with a key pair: a service that checks a signature can't make one."""


class Header(NamedTuple):
    """The members of a token's header that say how it is to be checked. Nothing of it is verified."""

    algorithm: str
    key_id: str
    type: str


class PublicKey(NamedTuple):
    """A published key, which is for one algorithm."""

    algorithm: str
    key: Any


def require_jwt() -> None:
    """Raise `ConfigurationError` if signatures can't be checked."""
    if not HAS_JWT:
        raise ConfigurationError("Signatures are checked by PyJWT. Install it: pip install 'keyportal-client[tokens]'")


def header_of(token: str) -> Header | None:
    """Return the header of a token in three parts; None if it is none that a portal writes."""
    try:
        members = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    named = [value for name in ("alg", "kid", "typ") if isinstance(value := members.get(name), str)]
    return Header(*named) if len(named) == len(Header._fields) else None


def payload_of(token: str, key: PublicKey) -> Mapping[str, Any] | None:
    """Return what the key has signed; None if it has not, or if that is no JSON object."""
    try:
        signed = json.loads(_jws.decode(token, key.key, algorithms=[key.algorithm]))
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return signed if isinstance(signed, dict) else None


def keys_in(key_set: object) -> dict[str, PublicKey]:
    """Return the keys of a JWK Set by their ids, as far as they can be used. Raises ValueError if it is none."""
    if not isinstance(key_set, dict) or not isinstance(key_set.get("keys"), list):
        raise ValueError("not a JWK Set")  # noqa: TRY004  # the same as any other text that is none
    return {name: key for name, key in map(_key, key_set["keys"]) if key is not None}


def _key(jwk: Any) -> tuple[str, PublicKey | None]:
    try:
        name, algorithm = str(jwk["kid"]), str(jwk["alg"])
        key = PublicKey(algorithm, jwt.PyJWK(jwk, algorithm).key) if algorithm in ALGORITHMS else None
    except (jwt.PyJWTError, TypeError, KeyError, ValueError, AttributeError):
        return "", None
    return name, key
