"""A record as verifiers in other processes get it, to judge the credential themselves (docs/change-feed.md)."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings

from accounts.times import rfc3339
from credentials.record import VerifiedRecord

FORMAT: Final = 1
"""To be raised when a verifier must know a new member to judge rightly: one that does not then asks each time."""


def record_json(record: VerifiedRecord) -> dict[str, Any] | None:
    """Return what a verdict about this credential depends on; None if a verifier has nothing to gain by keeping it.

    Times are RFC 3339 in UTC, null if they do not apply. It holds no secret, and no verdict.
    """
    credential, owner, whose = record.credential, record.owner, record.key or record
    seals_are_valid = record.seal_is_valid and whose.seal_is_valid and owner.seal_is_valid
    has_ended = record.is_terminal or whose.is_terminal or record.is_outdated
    if not seals_are_valid or (has_ended and record.claims is not None):
        return None
    claims = record.claims
    return {
        "format": FORMAT,
        "id": credential.id,
        "secret_id": record.secret_id,
        "kind": credential.kind,
        "key": credential.key_id,
        "name": credential.name,
        "client_id": credential.client_id,
        "owner": credential.owner_id,
        "owner_state": _owner_state(record),
        "environment": credential.environment,
        "scopes": sorted(credential.scopes),
        "networks": [str(network) for network in whose.networks],
        "audience": claims.audience if claims else None,
        "rate_limit": record.rate_limit or settings.KEYPORTAL_RATE_LIMIT or None,
        "asks_each_time": bool(record.rate_limit or settings.KEYPORTAL_RATE_LIMIT),
        "not_before": _not_before(record),
        "expires_at": _time(credential.expires_at),
        "leeway": settings.KEYPORTAL_LEEWAY if claims else 0,
        "key_expires_at": _time(record.key.expires_at) if record.key else None,
        "replaced_at": _time(whose.replaced_at),
        "retires_at": _time(whose.retires_at),
        "paused_at": _time(whose.paused_at),
        "paused_until": _time(whose.paused_until),
        "paused_reason": whose.pause_reason,
        "revoked_at": record.ended.get("at"),
        "revoked_reason": record.ended.get("reason", ""),
        "tags": list(record.tags),
    }


def _owner_state(record: VerifiedRecord) -> str:
    if not record.owner.is_active:
        return "inactive"
    return "active" if record.owner.confirmed_at else "unconfirmed"


def _not_before(record: VerifiedRecord) -> str | None:
    """Return from when a token is good, with the leeway that clocks have."""
    if record.claims is None:
        return None
    issued_at = datetime.fromtimestamp(record.claims.issued_at, UTC)
    return rfc3339(issued_at - timedelta(seconds=settings.KEYPORTAL_LEEWAY))


def _time(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None
