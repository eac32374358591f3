"""Signs as a portal does, and as somebody else would."""

import json
from functools import cache
from typing import Any, Final

from tests.clients.verifying.samples import KEY, OWNER, SECONDS
from tests.signing_keys import KEYS, OTHERS
from vault.assertions import Identity, sign_assertion
from vault.claims import Claims
from vault.signing import TYPE, sign_as
from vault.signing_keys import SigningKey, SigningRing

TOKEN: Final = "tok_1aS8dFg5Hj3KlZ6xC9vBnm"
SERVICE: Final = "https://reports.example.com"


@cache  # to read a key of RSA takes long
def ring_of(algorithm: str = "ES256", *, other: bool = False) -> SigningRing:
    """Return a ring with one key; the other one is not the portal's."""
    return SigningRing.parse(json.dumps((OTHERS if other else KEYS)[algorithm]))


def a_token(portal: str, key: SigningKey | None = None, kind: str = TYPE, **changed: Any) -> str:
    """Return an access token of a key, good for ten minutes."""
    claims = {
        "issuer": portal,
        "subject": f"key:{KEY}",
        "audience": portal,
        "client_id": KEY,
        "token_id": TOKEN,
        "scope": "reports:read",
        "issued_at": int(SECONDS),
        "expires_at": int(SECONDS) + 600,
        "environment": "live",
        "epoch": 0,
        "secret_id": "sec_2wE7rTy4Ui1OpA9sD6fGhj",
        **changed,
    }
    return sign_as(kind, key or ring_of().primary, Claims(**claims).as_payload())


def an_assertion(portal: str, now: float, key: SigningKey | None = None, **changed: Any) -> str:
    """Return a signed identity, good for a minute."""
    identity = {
        "issuer": portal,
        "audience": SERVICE,
        "subject": f"key:{KEY}",
        "owner": OWNER,
        "client_id": KEY,
        "kind": "api_key",
        "scope": "reports:read reports:write",
        "environment": "live",
        "issued_at": int(now),
        "expires_at": int(now) + 60,
        **changed,
    }
    return sign_assertion(key or ring_of().primary, Identity(**identity))
