"""Who calls the management API, and what it may give a key: never more than it has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self, cast

from rest_framework.request import Request

from accounts.models import User
from apikeys.errors import BeyondCallerError
from apikeys.models import APIKey, Environment
from apikeys.models.keys import APIKeyQuerySet
from apikeys.widening import is_within_networks
from audit.origin import Origin
from credentials.admission import verified_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A key, a token of a key, or a log-in, which acts for its whole account."""

    owner: User
    name: str
    """`key:key_…` or `user:usr_…`: the actor in the trail."""
    key_id: str
    """The id of the key; empty for a log-in."""
    secret_id: str
    """The id of the key's secret; empty for tokens."""
    scopes: frozenset[str] | None
    """The scopes that it can give; None for a log-in, which can give what its developer may take."""
    environments: tuple[str, ...]
    networks: tuple[str, ...]
    """The networks that it is bound to; empty for any."""
    expires_at: datetime | None
    """When the key expires; None for never, and for a log-in."""
    rate_limit: str
    """The key's own rate limit, which the keys that it creates get too; empty for the portal's."""
    origin: Origin

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the caller of an authenticated request."""
        record = verified_record(request._request)
        key = record.key or record
        key_id = record.credential.key_id
        name = f"key:{key_id}" if key_id else f"user:{record.credential.owner_id}"
        is_test = record.credential.environment == Environment.TEST
        return cls(
            owner=cast("User", request.user),
            name=name,
            key_id=key_id,
            secret_id=record.secret_id,
            scopes=record.credential.scopes if key_id else None,
            environments=(Environment.TEST,) if is_test else tuple(Environment.values),
            networks=tuple(map(str, key.networks)),
            expires_at=key.expires_at if key_id else None,
            rate_limit=key.rate_limit,
            origin=Origin.of_request(request._request, actor=name),
        )

    def keys(self) -> APIKeyQuerySet:
        """Return the keys that it can see, newest first."""
        mine = APIKey.objects.of(self.owner).filter(environment__in=self.environments)
        return mine.prefetch_related("secrets")

    def refuse_scopes(self, scopes: Collection[str]) -> None:
        """Raise `BeyondCallerError` if it lacks one of these scopes."""
        lacking = set(scopes) - self.scopes if self.scopes is not None else set()
        if lacking:
            message = "A key can't give another key a scope that it lacks itself."
            raise BeyondCallerError(message, pointer="/scopes", scopes=sorted(lacking))

    def refuse_environment(self, environment: str) -> None:
        """Raise `BeyondCallerError` if it does not manage keys of this environment."""
        if environment not in self.environments:
            raise BeyondCallerError("A test key manages test keys only.", pointer="/environment")

    def refuse_networks(self, networks: Sequence[str]) -> None:
        """Raise `BeyondCallerError` if these networks are wider than its own."""
        if not is_within_networks(networks, self.networks):
            message = "This key is bound to networks, and can't give another key wider ones."
            raise BeyondCallerError(message, pointer="/networks")

    def refuse_expiry(self, expires_at: datetime | None) -> None:
        """Raise `BeyondCallerError` if this expiry is later than its own."""
        if self.expires_at is not None and (expires_at is None or expires_at > self.expires_at):
            message = "This key expires, and can't give another key a later expiry."
            raise BeyondCallerError(message, pointer="/expires_at")

    def refuse_key(self, key: APIKey) -> None:
        """Raise `BeyondCallerError` if a key that it would get the secret of, or take back, may do more than itself."""
        self.refuse_scopes(key.scope_list)
        self.refuse_networks(key.network_list)
        self.refuse_expiry(key.expires_at)
