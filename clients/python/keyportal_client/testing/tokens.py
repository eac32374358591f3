"""Access tokens of a portal in memory: those that a key is exchanged for (RFC 9068). Needs the extra `tokens`."""

from collections.abc import Collection
from datetime import datetime, timezone
from typing import Final, NamedTuple

from keyportal_client.testing.records import SentRecord, rfc3339
from keyportal_client.testing.secret import new_id
from keyportal_client.testing.signing import sign

TYPE: Final = "at+jwt"
LIFETIME: Final = 600
"""Seconds."""
LEEWAY: Final = 30
"""Seconds for which a token is good before and after its time, because clocks differ."""
MANAGEMENT: Final = frozenset({"keys:read", "keys:write", "self:rotate"})
"""Scopes that a token has only if they are asked for by name."""


class IssuedToken(NamedTuple):
    """A token, and what it was made from."""

    id: str
    key: str
    """The secret that was exchanged for it."""
    scopes: tuple[str, ...]
    audience: str
    issued_at: int
    expires_at: int

    def record(self, key: SentRecord) -> SentRecord:
        """Return its record, which depends on that of the key."""
        return {
            **key,
            "id": self.id,
            "kind": "access_token",
            "scopes": [name for name in self.scopes if name in key["scopes"]],
            "audience": self.audience,
            "not_before": _time(self.issued_at - LEEWAY),
            "expires_at": _time(self.expires_at),
            "leeway": LEEWAY,
            "key_expires_at": key["expires_at"],
            "tags": [f"token:{self.id}", *key["tags"]],
        }


def issue(
    secret: str, key: SentRecord, *, scopes: Collection[str] | None, audience: str, issuer: str, at: float
) -> tuple[str, IssuedToken]:
    """Return a token for a key, and its facts. `at` is in seconds since 1970.

    Raises ValueError for scopes that the key lacks, `ConfigurationError` without the extra `tokens`.
    """
    if scopes is not None and not set(scopes) <= set(key["scopes"]):
        raise ValueError("a token has no scope that its key lacks")
    granted = tuple(sorted(set(key["scopes"]) - MANAGEMENT if scopes is None else set(scopes)))
    token = IssuedToken(new_id("tok"), secret, granted, audience, int(at), int(at) + LIFETIME)
    claims = {
        "iss": issuer,
        "sub": f"key:{key['key']}",
        "aud": audience,
        "client_id": key["key"],
        "jti": token.id,
        "scope": " ".join(granted),
        "iat": token.issued_at,
        "nbf": token.issued_at,
        "exp": token.expires_at,
        "environment": key["environment"],
        "auth_epoch": 0,
        "secret_id": key["secret_id"],
    }
    return sign(TYPE, claims), token


def _time(seconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, timezone.utc))
