"""Who sent a request, as a verifier found out: the credential, without the secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Credential:
    """A verified key or access token: whose it is and what it may do. It never holds the secret."""

    kind: str
    """`api_key` or `access_token`."""
    id: str
    """The public id: `key_…`, or the `jti` of a token."""
    name: str
    """The key's name, which its owner chose. Empty for a log-in's token."""
    client_id: str
    """The client that holds it: the key itself, the key that a token was issued for, or `portal` for a log-in."""
    owner_id: str
    """The owner's public id: `usr_…`."""
    environment: str
    """`live` or `test`."""
    scopes: frozenset[str]
    expires_at: datetime | None
    """UTC; None if it never expires."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Headers for the response, which tell the client that its secret was replaced or that its key expires soon."""

    @property
    def key_id(self) -> str:
        """The id of the key that it is or was issued for; empty for a log-in."""
        return self.client_id if self.client_id.startswith("key_") else ""
