"""Change what a key may do."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from apikeys import emails
from apikeys.errors import ChangedMeanwhileError, KeyEndedError
from apikeys.models import APIKey
from apikeys.services.changing import swap_key
from apikeys.services.policies import policy_of, refuse_expiry
from apikeys.services.scopes import refuse_scopes
from apikeys.widening import edited_columns, widened_columns
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.limits.rate_limit_text import parse_rate_limit

CHANGED_MEANWHILE: Final = "This key was changed or revoked in the meantime."


@transaction.atomic
def edit_key(
    *,
    key: APIKey,
    name: str,
    scopes: Collection[str],
    networks: Sequence[str],
    expires_at: datetime | None,
    version: int | None = None,
    origin: Origin,
) -> APIKey:
    """Change a key's name, scopes, networks and expiry. The owner is notified of what becomes wider.

    `version` is the one that the caller has seen, where that may be older than `key`.

    Code that acts for a person must require a fresh log-in if `widened_columns` names anything; both compare with
    the key as it was read. Scopes that only operators grant can be kept or dropped, not added. Raises
    `KeyEndedError` for a revoked key, `ScopeNotAllowedError`, `PolicyError`, `ChangedMeanwhileError`,
    `IntegrityViolationError`.
    """
    if key.revoked_at:
        raise KeyEndedError("This key is revoked, so it can't be changed.")
    if version not in (None, key.version):
        raise ChangedMeanwhileError(CHANGED_MEANWHILE)
    if expires_at != key.expires_at:
        refuse_expiry(policy_of(key.environment), expires_at)
    refuse_scopes(scopes, held=key.scope_list, restricted=False)
    after = edited_columns(name=name, scopes=scopes, networks=networks, expires_at=expires_at)
    before = {field: getattr(key, field) for field in after}
    wider = widened_columns(key, after)
    if before == after:
        return key
    if not swap_key(key, after):
        raise ChangedMeanwhileError(CHANGED_MEANWHILE)
    changed = sorted(field for field in after if before[field] != after[field])
    record_event(EventType.KEY_EDITED, subject=f"key:{key.pk}", origin=origin, changed=changed, widened=wider)
    emails.send_key_widened(key, {field: before[field] for field in wider}, origin)
    return key


@transaction.atomic
def set_rate_limit(*, key: APIKey, limit: str, origin: Origin) -> bool:
    """Set a key's own rate limit, such as `100/minute`, or empty for the default; return whether it changed.

    The owner is notified of a higher limit; for the fresh log-in, see `edit_key`. Raises `ValueError` for text that is
    not a limit, `ChangedMeanwhileError` if the key changed since it was read.
    """
    if limit:
        parse_rate_limit(limit)
    before, wider = key.rate_limit, widened_columns(key, {"rate_limit": limit})
    if before == limit:
        return False
    if not swap_key(key, {"rate_limit": limit}):
        raise ChangedMeanwhileError(f"{key.pk} has just been changed by someone else.")
    record_event(EventType.KEY_LIMITED, subject=f"key:{key.pk}", origin=origin, limit=limit, widened=wider)
    emails.send_key_widened(key, dict.fromkeys(wider, before), origin)
    return True
