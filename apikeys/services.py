"""The verbs of keys, and the only place that writes them. Each is one transaction and one audit event.

The row seal decides a race. Every change to what a key may do changes the seal, so `UPDATE … WHERE seal = <the seal
that was read>` succeeds for one writer and updates no row for the other, on SQLite as on PostgreSQL.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from apikeys import notices
from apikeys.errors import (
    AlreadyCreatedError,
    ChangedMeanwhileError,
    IntegrityViolationError,
    NotAllowedError,
    NotRevealableError,
    ScopeNotAllowedError,
    TooManyKeysError,
)
from apikeys.models import APIKey, KeySecret
from apikeys.widening import edited_columns, widened
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.limits.rate_limit_text import parsed_limit
from credentials.scopes.models import Scope
from integrity.key_check import rings_confirmed
from integrity.rings import index_ring, sealing_ring
from integrity.sealed import TamperedRowError, insist, swap, until_unchanged
from vault.digests import index_digest
from vault.errors import VaultError
from vault.sealing import seal, unseal
from vault.secret_format import hint, new_secret

logger = logging.getLogger(__name__)


def create_key(
    *,
    owner: User,
    name: str,
    environment: str,
    scopes: Collection[str] = (),
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    show_once: bool = False,
    restricted: bool = False,
    form_token: str | None = None,
    origin: Origin,
) -> tuple[APIKey, str]:
    """Create a key and return it with its secret, which can't be seen again unless it is revealed.

    `restricted` allows scopes that only operators grant. A `form_token` makes the call safe to repeat: the second call
    raises `AlreadyCreatedError`. Raises `NotAllowedError`, `TooManyKeysError`, `ScopeNotAllowedError`.
    """
    rings_confirmed()
    key = APIKey(owner=owner, name=name, environment=environment, networks=" ".join(networks), expires_at=expires_at)
    key.scopes = " ".join(sorted(set(scopes)))
    key.form_token = form_token
    key.seal = key.make_seal()
    with transaction.atomic():
        _hold(owner)
        _refuse_repetition(owner, form_token)
        _refuse_one_too_many(owner)
        _refuse_scopes(scopes, held=(), restricted=restricted)
        key.save(force_insert=True)
        secret = _add_secret(key, show_once=show_once)
        about = {"owner": owner.pk, "environment": environment}
        record_event(EventType.KEY_CREATED, subject=f"key:{key.pk}", origin=origin, **about)
        notices.key_created(key, origin)
    return key, secret


@transaction.atomic
def edit_key(
    *,
    key: APIKey,
    name: str,
    scopes: Collection[str],
    networks: Sequence[str],
    expires_at: datetime | None,
    origin: Origin,
) -> APIKey:
    """Change a key's name, scopes, networks and expiry. The owner is notified of what becomes wider.

    A caller that acts for a person must require a fresh log-in if `widened` names anything; both compare with the key
    as it was read. Scopes that only operators grant can be kept or dropped, not added. Raises `ScopeNotAllowedError`,
    `ChangedMeanwhileError` (also for a revoked key), `IntegrityViolationError`.
    """
    _refuse_scopes(scopes, held=key.scope_list, restricted=False)
    after = edited_columns(name=name, scopes=scopes, networks=networks, expires_at=expires_at)
    before = {field: getattr(key, field) for field in after}
    wider = widened(key, after)
    if key.revoked_at or not _swapped(key, after):
        raise ChangedMeanwhileError("Someone else has just changed or revoked this key.")
    changed = sorted(field for field in after if before[field] != after[field])
    record_event(EventType.KEY_EDITED, subject=f"key:{key.pk}", origin=origin, changed=changed, widened=wider)
    notices.key_widened(key, {field: before[field] for field in wider}, origin)
    return key


def reveal(*, secret: KeySecret, origin: Origin) -> str:
    """Decrypt a secret and return it for its owner. The reveal is recorded, and the owner is notified by e-mail.

    The caller must require a fresh log-in first. Raises `NotRevealableError` or `IntegrityViolationError`.
    """
    key = secret.key
    if settings.KEYPORTAL_REVEAL != "reauth" or secret.ciphertext is None or key.revoked_at:
        raise NotRevealableError("This secret can't be shown again.")
    try:
        with transaction.atomic():
            record_event(EventType.KEY_REVEALED, subject=f"key:{key.pk}", origin=origin, secret=secret.hint)
            notices.key_revealed(key, origin)
            return unseal(sealing_ring(), bytes(secret.ciphertext), secret.sealing_context(key))
    except VaultError as error:
        logger.exception("integrity_violation: the ciphertext of %s can't be decrypted", key.pk)
        # The rollback removed the event that says the secret was revealed, so record the failed attempt separately.
        record_event(EventType.REVEAL_FAILED, subject=f"key:{key.pk}", origin=origin, secret=secret.hint)
        raise IntegrityViolationError("This secret can't be decrypted.") from error


@transaction.atomic
def revoke(*, key: APIKey, reason: str, origin: Origin) -> bool:
    """End a key for good and destroy its ciphertexts; return False if it was already revoked.

    The digests stay as tombstones. Of any number of concurrent callers, one gets True, and one event is written. Raises
    `integrity.sealed.UndoneChangeError`.
    """
    for current in until_unchanged(APIKey, key.pk):
        if current.revoked_at:
            return False
        if swap(current, {"revoked_at": timezone.now(), "revoked_reason": reason}, whatever_was=True):
            break
    KeySecret.objects.filter(key=key).update(ciphertext=None)
    insist(KeySecret.objects.filter(key=key, ciphertext__isnull=False), are_there=False)
    record_event(EventType.KEY_REVOKED, subject=f"key:{key.pk}", origin=origin, reason=reason)
    notices.key_revoked(current, origin)
    return True


@transaction.atomic
def limit_key(*, key: APIKey, limit: str, origin: Origin) -> bool:
    """Set a key's own rate limit, such as `100/minute`, or empty for the default; return whether it changed.

    The owner is notified of a higher limit; for the fresh log-in, see `edit_key`. Raises `ValueError` for text that is
    not a limit, `ChangedMeanwhileError` if the key changed since it was read.
    """
    if limit:
        parsed_limit(limit)
    before, wider = key.rate_limit, widened(key, {"rate_limit": limit})
    if before == limit:
        return False
    if not _swapped(key, {"rate_limit": limit}):
        raise ChangedMeanwhileError(f"{key.pk} has just been changed by someone else.")
    record_event(EventType.KEY_LIMITED, subject=f"key:{key.pk}", origin=origin, limit=limit, widened=wider)
    notices.key_widened(key, dict.fromkeys(wider, before), origin)
    return True


def _hold(owner: User) -> None:
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


def _refuse_one_too_many(owner: User) -> None:
    limit = settings.KEYPORTAL_MAX_KEYS
    if APIKey.objects.filter(owner=owner, revoked_at=None).count() >= limit:
        raise TooManyKeysError(f"You have {limit} keys, the most that this portal allows. Revoke one first.")


def _refuse_scopes(wanted: Collection[str], *, held: Collection[str], restricted: bool) -> None:
    taken = set(wanted) - set(held)
    known = {scope.name: scope for scope in Scope.objects.filter(name__in=taken).with_valid_seals()}
    unknown = taken - set(known)
    if unknown:
        raise ScopeNotAllowedError(f"Not in the catalogue: {', '.join(sorted(unknown))}.")
    reserved = sorted(name for name, scope in known.items() if scope.restricted)
    if reserved and not restricted:
        raise ScopeNotAllowedError(f"Only operators can grant {', '.join(reserved)}.")


def _add_secret(key: APIKey, *, show_once: bool) -> str:
    text = new_secret(settings.KEYPORTAL_BRAND, key.environment)
    row = KeySecret(key=key, index_key_id=index_ring().primary.id, hint=hint(text))
    row.digest = index_digest(index_ring().primary, text)
    if not show_once and settings.KEYPORTAL_REVEAL == "reauth":
        row.ciphertext = seal(sealing_ring(), text, row.sealing_context(key))
    row.seal = row.make_seal()
    row.save(force_insert=True)
    return text


def _swapped(key: APIKey, changes: Mapping[str, object]) -> bool:
    """Write the changes and return True; False if the key has changed since. Raises `IntegrityViolationError`."""
    try:
        return swap(key, changes)
    except TamperedRowError as error:
        raise IntegrityViolationError("This key was changed outside the portal. Contact an operator.") from error
