"""Signed identities: who sent a request, for the one service behind a gateway that the audience names.

A service need not trust plain headers, nor the network that they came over. An assertion is no credential: its type
(`typ`) is none that the portal accepts anywhere.
"""

from dataclasses import dataclass
from typing import Final

from vault.secret_format import new_id
from vault.signing import sign_as
from vault.signing_keys import SigningKey, SigningRing

TYPE: Final = "keyportal-assertion+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an assertion says. Times are whole seconds since 1970, UTC."""

    issuer: str
    audience: str
    subject: str
    """`user:usr_…` or `key:key_…`."""
    owner: str
    """`usr_…`."""
    client_id: str
    kind: str
    """`api_key` or `access_token`."""
    scope: str
    environment: str
    issued_at: int
    expires_at: int


def assertion_key(ring: SigningRing) -> SigningKey | None:
    """Return the first key of the ring whose public half services can have; None if there is none."""
    return next((key for key in ring if not key.is_symmetric), None)


def sign_assertion(key: SigningKey, identity: Identity) -> str:
    """Return the assertion, signed with this key (RFC 7519)."""
    payload = {
        "iss": identity.issuer,
        "aud": identity.audience,
        "sub": identity.subject,
        "owner": identity.owner,
        "client_id": identity.client_id,
        "kind": identity.kind,
        "scope": identity.scope,
        "environment": identity.environment,
        "iat": identity.issued_at,
        "exp": identity.expires_at,
        "jti": new_id("asr"),
    }
    return sign_as(TYPE, key, payload)
