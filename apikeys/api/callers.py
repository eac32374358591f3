"""Who calls the management API, and what it may give a key: never more than it has."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self, cast

from rest_framework.request import Request

from accounts.models import User
from apikeys.errors import BeyondCallerError, CallerChangedError, IntegrityViolationError
from apikeys.models import APIKey, Environment, KeySecret, live_secrets
from apikeys.models.keys import APIKeyQuerySet
from apikeys.widening import allows_more_calls, edited_columns, is_within_networks, widened_columns
from audit.origin import Origin
from credentials.admission import verified_record
from credentials.scopes.models import Scope

OWN_SCOPES_ONLY: Final = (
    "A key can only grant scopes that it has itself. Add the missing ones to the key that you call with, or leave them "
    "out."
)
NO_STRONGER_KEY: Final = (
    "A key can rotate and resume only keys whose scopes it all has itself. Add the missing ones to the key that you "
    "call with."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A key, a token of a key, or a log-in, which acts for its whole account."""

    owner: User
    name: str
    """`key:key_…` or `user:usr_…`: the actor in the trail."""
    key_id: str
    """The id of the key; empty for a log-in."""
    secret_id: str
    """The id of the key's secret that was sent; empty for tokens."""
    _secret: str
    """The id of the secret that was sent, or exchanged for the token; empty for a log-in."""
    scopes: frozenset[str] | None
    """The scopes that it can give; None for a log-in, which can give what its developer may take."""
    environments: tuple[str, ...]
    networks: tuple[str, ...]
    """The networks that it is bound to; empty for any."""
    expires_at: datetime | None
    """When the key expires; None for never, and for a log-in."""
    is_replaced: bool
    """Whether a newer secret took the place of the key's secret."""
    rate_limit: str
    """The key's own rate limit, which the keys that it creates get too; empty for the portal's."""
    about: Mapping[str, str]
    """What a refusal says of it: which credential it is."""
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
            secret_id="" if record.claims else record.secret_id,
            _secret=record.secret_id,
            scopes=record.credential.scopes if key_id else None,
            environments=(Environment.TEST,) if is_test else tuple(Environment.values),
            networks=tuple(map(str, key.networks)),
            expires_at=key.expires_at if key_id else None,
            is_replaced=key.replaced_at is not None,
            rate_limit=key.rate_limit,
            about=record.about,
            origin=Origin.of_request(request._request, actor=name),
        )

    def keys(self) -> APIKeyQuerySet:
        """Return the keys that it can see, newest first."""
        mine = APIKey.objects.of(self.owner).filter(environment__in=self.environments)
        return mine.prefetch_related(live_secrets())

    def refuse_scopes(self, scopes: Collection[str], *, why: str = OWN_SCOPES_ONLY) -> None:
        """Raise `BeyondCallerError` if it lacks one of these scopes.

        The error names those that every developer sees in the catalogue. Others may be anything, even a secret.
        """
        lacking = set(scopes) - self.scopes if self.scopes is not None else set()
        if lacking:
            public = Scope.objects.filter(name__in=lacking, restricted=False).with_valid_seals()
            raise self._beyond(why, pointer="/scopes", scopes=sorted(scope.name for scope in public))

    def refuse_environment(self, environment: str) -> None:
        """Raise `BeyondCallerError` if it does not manage keys of this environment."""
        if environment not in self.environments:
            raise self._beyond("A test key manages test keys only.", pointer="/environment")

    def refuse_networks(self, networks: Sequence[str]) -> None:
        """Raise `BeyondCallerError` if these networks are wider than its own."""
        if not is_within_networks(networks, self.networks):
            message = "This key is bound to networks, and can't give another key wider ones."
            raise self._beyond(message, pointer="/networks")

    def refuse_expiry(self, expires_at: datetime | None) -> None:
        """Raise `BeyondCallerError` if this expiry is later than its own."""
        if self.expires_at is not None and (expires_at is None or expires_at > self.expires_at):
            message = "This key expires, and can't give another key a later expiry."
            raise self._beyond(message, pointer="/expires_at")

    def refuse_key(self, key: APIKey) -> None:
        """Raise `BeyondCallerError` if a key that it would get the secret of, or take back, may do more than itself.

        Its own key may have a scope that has left the catalogue since. Raises `IntegrityViolationError`.
        """
        _refuse_tampered(key)
        self.refuse_replaced()
        if not self._is_secret_of(key):
            self.refuse_scopes(key.scope_list, why=NO_STRONGER_KEY)
            self.refuse_networks(key.network_list)
            self.refuse_expiry(key.expires_at)
            self.refuse_rate_limit(key.rate_limit)

    def refuse_secret_again(self, key: APIKey) -> bool:
        """Return whether it may have this key's secret once more only until that was used.

        That is so for a key that rotated itself, and repeats the call with its former secret because the answer was
        lost: that secret may be a leaked one. Raises `BeyondCallerError` if it may not have it at all, and
        `IntegrityViolationError`.
        """
        self.refuse_environment(key.environment)
        if not self._is_secret_of(key):
            self.refuse_key(key)
        return self.is_replaced

    def confirm(self) -> None:
        """Raise `CallerChangedError` if its secret was replaced or retired, or its key ended, since it was accepted."""
        if not self._secret:
            return
        current = KeySecret.objects.live().filter(pk=self._secret, replaced_at__isnull=not self.is_replaced)
        if not current.filter(key__in=APIKey.objects.in_state("active")).exists():
            raise CallerChangedError("The key of this call has just been changed. Read it, and call again.")

    def _is_secret_of(self, key: APIKey) -> bool:
        """Return whether it is this key itself; a token of it may do less."""
        return self.key_id == key.pk and bool(self.secret_id)

    def refuse_widening(self, key: APIKey, after: Mapping[str, Any]) -> None:
        """Raise `BeyondCallerError` if the key, with these columns after a change, could do what the caller can't.

        A scope that is added must be the caller's. More addresses or more time are more of all scopes, so the caller
        must have them all. Raises `IntegrityViolationError`.
        """
        _refuse_tampered(key)
        widened = widened_columns(key, edited_columns(**after))
        if not widened:
            return
        self.refuse_replaced()
        self.refuse_scopes(set(after["scopes"]) - (set(key.scope_list) if widened == ["scopes"] else set()))
        self.refuse_networks(after["networks"])
        self.refuse_expiry(after["expires_at"])
        self.refuse_rate_limit(key.rate_limit)

    def refuse_replaced(self) -> None:
        """Raise `BeyondCallerError` if it is a former secret.

        Otherwise an attacker with a leaked one could go on with another key, after its owner has rotated this one.
        """
        if self.is_replaced:
            raise self._beyond("A newer secret took the place of this one. Call with that.")

    def refuse_rate_limit(self, rate_limit: str) -> None:
        """Raise `BeyondCallerError` if this limit allows more calls than its own."""
        if self.key_id and allows_more_calls(self.rate_limit, rate_limit):
            raise self._beyond("This key has a lower rate limit than the other one.")

    def _beyond(self, message: str, *, pointer: str = "", scopes: Collection[str] = ()) -> BeyondCallerError:
        """Return the error, which says which credential it is that calls."""
        return BeyondCallerError(message, pointer=pointer, scopes=scopes, about=self.about)


def _refuse_tampered(key: APIKey) -> None:
    """Raise `IntegrityViolationError` for a row that can't be compared, because the portal did not write it."""
    if not key.seal_is_valid():
        raise IntegrityViolationError("This key was changed outside the portal. Contact an operator.")
