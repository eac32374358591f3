"""Access tokens as the ring signs them, and with anything at all in them."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.signing_keys import KEYS
from vault.errors import TokenInvalidError
from vault.secret_format import new_id
from vault.signing import Claims, read, sign
from vault.signing_keys import SigningRing, base64url

NOW = 1_800_000_000
RING = SigningRing.parse(json.dumps({"keys": list(KEYS.values())}))
RINGS = {algorithm: SigningRing.parse(json.dumps(key)) for algorithm, key in KEYS.items()}
USER = new_id("usr")
CLAIMS = Claims(
    issuer="https://portal.test",
    subject=f"user:{USER}",
    audience="https://api.test",
    client_id="portal",
    token_id=new_id("tok"),
    scope="a b",
    issued_at=NOW,
    expires_at=NOW + 600,
    environment="live",
    epoch=3,
    family=new_id("fam"),
    secret_id=new_id("sec"),
)
TOKEN = sign(RING, CLAIMS)
HEADER: Mapping[str, Any] = {"alg": "ES256", "kid": KEYS["ES256"]["kid"], "typ": "at+jwt"}
PAYLOAD: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(TOKEN.split(".")[1] + "=="))


def read_token(token: str, *, now: float = NOW, leeway: int = 0, ring: SigningRing = RING) -> Claims:
    """Read a token as the service that `CLAIMS` is for."""
    return read(ring, token, issuer=CLAIMS.issuer, audience=CLAIMS.audience, now=now, leeway=leeway)


def assert_refused(token: str, **circumstances: Any) -> None:
    """Read a token that must not be taken."""
    with pytest.raises(TokenInvalidError):
        read_token(token, **circumstances)


def sign_parts(header: object, payload: object, *, algorithm: str = "ES256") -> str:
    """Sign anything at all, by a key of the ring; texts stand for themselves, the rest becomes JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signing_input = ".".join(map(base64url, parts))
    key = RINGS[algorithm].primary.private
    return f"{signing_input}.{base64url(key.Algorithm.sign(signing_input.encode(), key.key))}"


def with_header(**members: Any) -> str:
    """Sign a token with these members in its header."""
    return sign_parts({**HEADER, **members}, PAYLOAD)


def with_claims(**claims: Any) -> str:
    """Sign a token with these claims."""
    return sign_parts(HEADER, {**PAYLOAD, **claims})


def without(source: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy without one member."""
    return {key: value for key, value in source.items() if key != name}


def with_member_twice(source: Mapping[str, Any], name: str) -> bytes:
    """Return JSON in which one member stands twice."""
    return json.dumps(dict(source)).encode()[:-1] + f', "{name}": {json.dumps(source[name])}}}'.encode()
