"""Credential: what a Bearer header proved."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Which key or token was shown, whose it is, and what it may do. It never holds the secret.

    Django REST framework gives it to a view as `request.auth`; `request.user` is its owner.
    """

    kind: str
    """`api_key` or `access_token`."""
    id: str
    """The public id: `key_…`, or the `jti` of a token."""
    name: str
    client_id: str
    """Who holds it: the key itself, the key that a token was swapped for, or `portal` for somebody's log-in."""
    owner_id: str
    """The owner's public id: `usr_…`."""
    environment: str
    """`live` or `test`."""
    scopes: frozenset[str]
    expires_at: datetime | None
    """UTC; None if it never expires."""
