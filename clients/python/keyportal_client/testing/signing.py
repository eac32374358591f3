"""The key pair of a portal in memory, and what it signs. Needs the extra `tokens`."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from keyportal_client.credential import Credential
from keyportal_client.testing.secret import new_id
from keyportal_client.verifying.assertions import TYPE as ASSERTION
from keyportal_client.verifying.jws import HAS_JWT, require_jwt

if HAS_JWT:
    import jwt
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
    from jwt.algorithms import ECAlgorithm

ALGORITHM: Final = "ES256"
ASSERTION_LIFETIME: Final = 60
"""Seconds."""


class _KeyPair(NamedTuple):
    private: "EllipticCurvePrivateKey"
    public: dict[str, Any]


def published_keys() -> dict[str, Any]:
    """Return the JWK Set (RFC 7517); an empty one if nothing can be signed."""
    return {"keys": [_key_pair().public] if HAS_JWT else []}


def sign_assertion(credential: Credential, audience: str, *, issuer: str, at: float) -> str:
    """Return the signed identity of who holds a credential, for one service. `at` is in seconds since 1970.

    Raises `ConfigurationError` without the extra `tokens`.
    """
    is_key = credential.kind == "api_key" or credential.key_id
    ends = [int(at) + ASSERTION_LIFETIME, *([int(credential.expires_at.timestamp())] if credential.expires_at else [])]
    return sign(
        ASSERTION,
        {
            "iss": issuer,
            "aud": audience,
            "sub": f"key:{credential.key_id}" if is_key else f"user:{credential.owner_id}",
            "owner": credential.owner_id,
            "client_id": credential.client_id,
            "kind": credential.kind,
            "scope": " ".join(sorted(credential.scopes)),
            "environment": credential.environment,
            "iat": int(at),
            "exp": max(int(at) + 1, min(ends)),
            "jti": new_id("asr"),
        },
    )


def sign(kind: str, payload: Mapping[str, Any]) -> str:
    """Return a signed token of this type. Raises `ConfigurationError` without the extra `tokens`."""
    require_jwt()
    pair = _key_pair()
    headers = {"kid": pair.public["kid"], "typ": kind}
    return jwt.encode(dict(payload), pair.private, algorithm=ALGORITHM, headers=headers)


@cache
def _key_pair() -> _KeyPair:
    """Return the one pair of this process: to make it takes longer than most tests."""
    private = generate_private_key(SECP256R1())
    written: dict[str, Any] = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    members = {name: written[name] for name in ("crv", "kty", "x", "y")}
    kid = hashlib.sha256(json.dumps(members).encode()).hexdigest()[:43]
    return _KeyPair(private, {**members, "use": "sig", "alg": ALGORITHM, "kid": kid})
