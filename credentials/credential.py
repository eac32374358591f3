"""Credential: what a Bearer header proved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

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

    def __hash__(self) -> int:
        """Return the hash of its id: it is looked up in memory at every question of a gateway."""
        return hash(self.id)

    @property
    def key_id(self) -> str:
        """The key that it is or was swapped for; empty for somebody's log-in."""
        return self.client_id if self.client_id.startswith("key_") else ""


OWNER_FIELDS: Final = User.sealed_columns()
"""What a query must give for an `Owner`, in its order: all that the row seal of a user covers, and the seal."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a verdict depends on of the owner, as it stands in the database. It can't change, and holds no password."""

    id: str
    email: str
    is_active: bool
    confirmed_at: datetime | None
    epoch: int
    intact: bool
    """Whether the row is as the portal wrote it."""

    @classmethod
    def of_row(cls, values: Sequence[Any]) -> "Owner":
        """Take it from the values of `OWNER_FIELDS`."""
        user = User.from_db("default", OWNER_FIELDS, values)
        return cls(user.pk, user.email, user.is_active, user.confirmed_at, user.auth_epoch, user.is_intact())

    def as_user(self) -> User:
        """Return a model instance; a field that the verdict does not need is fetched when it is read."""
        known = ("id", "email", "is_active", "confirmed_at", "auth_epoch")
        return User.from_db("default", known, (self.id, self.email, self.is_active, self.confirmed_at, self.epoch))
