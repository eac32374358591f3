"""The credential that a Bearer header proved, and its owner."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A verified key or token: its owner and what it may do. It never holds the secret.

    A Django REST framework view has it as `request.auth`; `request.user` is its owner.
    """

    kind: str
    """`api_key` or `access_token`."""
    id: str
    """The public id: `key_…`, or the `jti` of an access token."""
    name: str
    client_id: str
    """The client that holds it: the key itself, the key that a token was issued for, or `portal` for a log-in."""
    owner_id: str
    """The owner's public id: `usr_…`."""
    environment: str
    """`live` or `test`."""
    scopes: frozenset[str]
    expires_at: datetime | None
    """UTC; None if it never expires."""

    def __hash__(self) -> int:
        """Return the hash of the id alone, because every gateway request looks the credential up in memory."""
        return hash(self.id)

    @property
    def key_id(self) -> str:
        """The id of the key that it is or was issued for; empty for a log-in."""
        return self.client_id if self.client_id.startswith("key_") else ""


@dataclass(frozen=True, slots=True)
class Owner:
    """The part of a user's row that a verdict depends on. It is immutable and holds no password."""

    id: str
    email: str
    is_active: bool
    confirmed_at: datetime | None
    epoch: int
    seal_is_valid: bool
    """Whether the row's seal is valid: the portal wrote the row as it is."""

    def as_user(self) -> User:
        """Return the owner as a model instance whose other fields are deferred: they are fetched when they are read."""
        known = ("id", "email", "is_active", "confirmed_at", "auth_epoch")
        return User.from_db("default", known, (self.id, self.email, self.is_active, self.confirmed_at, self.epoch))
