"""Records of keys, as a portal has them."""

from collections.abc import Collection
from datetime import datetime, timezone
from ipaddress import ip_network
from typing import Final

from keyportal_client.testing.secret import new_id
from keyportal_client.verifying.record import FORMAT, RecordJson

OWNER: Final = new_id("usr")
"""Whose keys all are."""


class SentRecord(RecordJson):
    """A record with what a portal sends beside what this package judges by."""

    key: str
    audience: str | None
    rate_limit: str | None


def new_record(
    *, name: str, scopes: Collection[str], environment: str, networks: Collection[str], expires_at: datetime | None
) -> SentRecord:
    """Return the record of a new key. Raises ValueError for what no key can have."""
    if isinstance(scopes, str) or isinstance(networks, str):
        raise ValueError("scopes and networks are collections, not one text")  # noqa: TRY004  # the same for the caller
    if environment not in ("live", "test"):
        raise ValueError("environment is live or test")
    key_id = new_id("key")
    return {
        "format": FORMAT,
        "id": key_id,
        "secret_id": new_id("sec"),
        "kind": "api_key",
        "key": key_id,
        "name": name,
        "client_id": key_id,
        "owner": OWNER,
        "owner_state": "active",
        "environment": environment,
        "scopes": sorted(scopes),
        "networks": [str(ip_network(network)) for network in networks],
        "audience": None,
        "rate_limit": None,
        "asks_each_time": False,
        "not_before": None,
        "expires_at": None if expires_at is None else rfc3339(expires_at),
        "leeway": 0,
        "key_expires_at": None,
        "replaced_at": None,
        "retires_at": None,
        "paused_at": None,
        "paused_until": None,
        "paused_reason": "",
        "revoked_at": None,
        "revoked_reason": "",
        "tags": [f"key:{key_id}", f"user:{OWNER}"],
    }


def rfc3339(at: datetime) -> str:
    """Return a moment as a portal writes it. Raises ValueError for one without a time zone."""
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone: use datetime.now(timezone.utc)")
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
