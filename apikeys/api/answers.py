"""What the management API answers: keys, usage, events and scopes as JSON. Never a secret."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from accounts.models import User
from accounts.times import rfc3339
from accounts.view_models import by_whom
from apikeys import usage
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials.scopes.models import Scope

TOLD: Final = (
    *("environment", "changed", "widened", "limit", "reason", "overlap", "retires_at", "until"),
    "secret",
    "secrets",
)
"""The details of an event that a key's owner is told. The last two are hints."""


def keys_json(keys: Sequence[APIKey]) -> list[dict[str, Any]]:
    """Return keys with their live secrets, and when each was last used. Their live secrets must be prefetched."""
    used_at = usage.last_uses([key.pk for key in keys])
    return [_key_json(key, used_at[key.pk]) for key in keys]


def _key_json(key: APIKey, used_at: Mapping[str, datetime]) -> dict[str, Any]:
    is_paused = key.is_paused
    return {
        "id": key.pk,
        "name": key.name,
        "environment": key.environment,
        "state": key.state,
        "scopes": key.scope_list,
        "networks": key.network_list,
        "rate_limit": key.rate_limit or None,
        "created_at": rfc3339(key.created_at),
        "expires_at": _time(key.expires_at),
        "paused_at": _time(key.paused_at) if is_paused else None,
        "paused_until": _time(key.paused_until) if is_paused else None,
        "paused_reason": key.paused_reason if is_paused else "",
        "revoked_at": _time(key.revoked_at),
        "revoked_reason": key.revoked_reason,
        "last_used_at": _time(max(used_at.values(), default=None)),
        "owner": key.owner_id,
        "secrets": [_secret_json(secret, used_at) for secret in key.secrets.all()],
    }


def _secret_json(secret: KeySecret, used_at: Mapping[str, datetime]) -> dict[str, Any]:
    return {
        "id": secret.pk,
        "hint": secret.hint,
        "created_at": rfc3339(secret.created_at),
        "retires_at": _time(secret.retires_at),
        "last_used_at": _time(used_at.get(secret.pk)),
    }


def usage_json(counts: Iterable[usage.OutcomeAt]) -> list[dict[str, Any]]:
    """Return the calls of each interval that had any, by outcome, oldest first."""
    outcomes: dict[datetime, dict[str, int]] = {}
    for at, outcome, calls in counts:
        outcomes.setdefault(at, {})[outcome] = calls
    return [{"at": rfc3339(at), "outcomes": by_outcome} for at, by_outcome in sorted(outcomes.items())]


def event_json(event: Event, owner: User) -> dict[str, Any]:
    """Return an event as a key's owner may know it: operators have no name and no address."""
    by = by_whom(event, owner)
    details = event.details if isinstance(event.details, dict) else {}
    return {
        "id": event.pk,
        "at": rfc3339(event.at),
        "type": event.verb,
        "title": event.sentence,
        "by": by.words,
        "address": by.address,
        "details": {name: details[name] for name in TOLD if name in details},
    }


def scope_json(scope: Scope) -> dict[str, Any]:
    """Return a scope of the catalogue."""
    return {"name": scope.name, "description": scope.description}


def _time(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None
