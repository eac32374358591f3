"""Change what a key may do.

The row seal decides a race. Every change to what a key may do changes the seal, so `UPDATE … WHERE seal = <the seal
that was read>` succeeds for one writer and updates no row for the other, on SQLite as on PostgreSQL.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from apikeys import emails
from apikeys.errors import ChangedMeanwhileError, IntegrityViolationError
from apikeys.models import APIKey
from apikeys.services.scopes import refuse_scopes
from apikeys.widening import edited_columns, widened_columns
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.limits.rate_limit_text import parse_rate_limit
from integrity.sealed import TamperedRowError, swap


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

    Code that acts for a person must require a fresh log-in if `widened_columns` names anything; both compare with
    the key as it was read. Scopes that only operators grant can be kept or dropped, not added. Raises
    `ScopeNotAllowedError`, `ChangedMeanwhileError` (also for a revoked key), `IntegrityViolationError`.
    """
    refuse_scopes(scopes, held=key.scope_list, restricted=False)
    after = edited_columns(name=name, scopes=scopes, networks=networks, expires_at=expires_at)
    before = {field: getattr(key, field) for field in after}
    wider = widened_columns(key, after)
    if key.revoked_at or not _swap(key, after):
        raise ChangedMeanwhileError("Someone else has just changed or revoked this key.")
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
    if not _swap(key, {"rate_limit": limit}):
        raise ChangedMeanwhileError(f"{key.pk} has just been changed by someone else.")
    record_event(EventType.KEY_LIMITED, subject=f"key:{key.pk}", origin=origin, limit=limit, widened=wider)
    emails.send_key_widened(key, dict.fromkeys(wider, before), origin)
    return True


def _swap(key: APIKey, changes: Mapping[str, object]) -> bool:
    """Write the changes and return True; False if the key has changed since. Raises `IntegrityViolationError`."""
    try:
        return swap(key, changes)
    except TamperedRowError as error:
        raise IntegrityViolationError("This key was changed outside the portal. Contact an operator.") from error
