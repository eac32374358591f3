"""Create a key."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.issuing import refuse_while_suspended
from accounts.models import User
from apikeys import emails
from apikeys.errors import AlreadyCreatedError, NotAllowedError, TooManyKeysError
from apikeys.models import APIKey, KeyPolicy
from apikeys.services.policies import Expiry, chosen_expiry, policy_of
from apikeys.services.scopes import refuse_scopes
from apikeys.services.secrets import add_secret
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.key_check import confirm_rings_once


def create_key(
    *,
    owner: User,
    name: str,
    environment: str,
    scopes: Collection[str] = (),
    networks: Sequence[str] = (),
    expires_at: datetime | Expiry | None = Expiry.DEFAULT,
    show_once: bool = False,
    restricted: bool = False,
    rate_limit: str = "",
    form_token: str | None = None,
    origin: Origin,
) -> tuple[APIKey, str]:
    """Create a key and return it with its secret, which can't be seen again unless it is revealed.

    `restricted` allows scopes that only operators grant. A `form_token` makes the call safe to repeat: the second call
    raises `AlreadyCreatedError`. Raises `NotAllowedError`, `TooManyKeysError`, `ScopeNotAllowedError`, `PolicyError`,
    `IntegrityViolationError`, `accounts.errors.IssuingSuspendedError`.
    """
    confirm_rings_once()
    policy = policy_of(environment)
    key = APIKey(owner=owner, name=name, environment=environment, networks=" ".join(networks))
    key.expires_at = chosen_expiry(policy, expires_at)
    key.scopes = " ".join(sorted(set(scopes)))
    key.rate_limit, key.form_token = rate_limit, form_token
    key.seal = key.make_seal()
    with transaction.atomic():
        refuse_while_suspended()
        _lock(owner)
        _refuse_repetition(owner, form_token)
        _refuse_one_too_many(owner, policy)
        refuse_scopes(scopes, held=(), restricted=restricted)
        key.save(force_insert=True)
        secret = add_secret(key, policy, show_once=show_once)
        about = {"owner": owner.pk, "environment": environment}
        record_event(EventType.KEY_CREATED, subject=f"key:{key.pk}", origin=origin, **about)
        emails.send_key_created(key, origin)
    return key, secret


def _lock(owner: User) -> None:
    """Lock the owner's row until the transaction ends, so that two creations run one after the other.

    On SQLite the transaction is IMMEDIATE and already alone; on PostgreSQL `select_for_update` takes the lock. Raises
    `NotAllowedError` if the owner may not have keys.
    """
    current = User.objects.select_for_update().only("is_active", "confirmed_at").get(pk=owner.pk)
    if not current.is_active:
        raise NotAllowedError("This account is inactive.")
    if not current.is_confirmed:
        raise NotAllowedError("Confirm your e-mail address first.")


def _refuse_repetition(owner: User, form_token: str | None) -> None:
    made = APIKey.objects.filter(owner=owner, form_token=form_token).first() if form_token else None
    if made is not None:
        raise AlreadyCreatedError(made.pk)


def _refuse_one_too_many(owner: User, policy: KeyPolicy) -> None:
    keys = APIKey.objects.filter(owner=owner, revoked_at=None)
    _refuse_beyond(settings.KEYPORTAL_MAX_KEYS, "key", keys)
    if policy.max_keys is not None:
        _refuse_beyond(policy.max_keys, f"{policy.environment} key", keys.filter(environment=policy.pk))


def _refuse_beyond(allowed: int, what: str, keys: QuerySet[APIKey]) -> None:
    """Raise `TooManyKeysError` if there is no room for another key. There may be more than a newer policy allows."""
    count = keys.count()
    if count >= allowed:
        plural, to_revoke = "" if allowed == 1 else "s", count - allowed + 1
        raise TooManyKeysError(
            f"This portal allows {allowed} {what}{plural}, and you have {count}. "
            f"Revoke {'one' if to_revoke == 1 else to_revoke} first."
        )
