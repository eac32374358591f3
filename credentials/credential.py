"""Credential: what a Bearer header proved."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from accounts.models import User


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

    @property
    def key_id(self) -> str:
        """The key that it is or was swapped for; empty for somebody's log-in."""
        return self.client_id if self.client_id.startswith("key_") else ""


OWNER_FIELDS: Final = ("id", "email", "is_active", "confirmed_at", "auth_epoch")
"""What a query must give for an `Owner`, in its order."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a verdict depends on of the owner, as it stands in the database. Unlike a model instance it can't change."""

    id: str
    email: str
    is_active: bool
    confirmed_at: datetime | None
    epoch: int

    @classmethod
    def of(cls, user: User) -> "Owner":
        """Take it from the row."""
        return cls(user.pk, user.email, user.is_active, user.confirmed_at, user.auth_epoch)

    def as_user(self) -> User:
        """Give a model instance; a field that the verdict does not need is fetched when it is read."""
        return User.from_db(
            "default", OWNER_FIELDS, (self.id, self.email, self.is_active, self.confirmed_at, self.epoch)
        )
