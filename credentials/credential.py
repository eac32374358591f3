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
    """The public id: `key_…`."""
    name: str
    owner_id: str
    """The owner's public id: `usr_…`."""
    environment: str
    """`live` or `test`."""
    scopes: frozenset[str]
    expires_at: datetime | None
    """UTC; None if it never expires."""
