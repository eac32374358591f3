"""Decide whether an API key is good now: every check, in the order in which it is made.

Digest → verified cache → else format and checksum (no query) → one indexed query joining secret, key, owner and scope
catalogue → state. Nothing here writes.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import BinaryField, QuerySet

from apikeys.models import APIKey, KeySecret
from audit.client_address import Address, Network, parse_network
from credentials.credential import OWNER_FIELDS, Credential, Owner
from credentials.refusals import insufficient_scope, make_refusal
from credentials.scopes.catalogue import catalogue, names_in
from credentials.verdict_query.prepared import Placeholder, PreparedQuery, fields_but
from credentials.verified_cache.record_lookup import Lookup, get_or_load
from integrity.rings import index_ring
from vault.digests import index_digest, index_digests
from vault.secret_format import is_well_formed

logger = logging.getLogger(__name__)

SECRET_FIELDS: Final = fields_but(KeySecret, "ciphertext", "hint", "created_at")
KEY_FIELDS: Final = fields_but(APIKey, "created_at", "form_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What a verdict about a secret depends on, as the database has it. Holds no secret and no verdict."""

    credential: Credential
    networks: tuple[Network, ...]
    revoked_at: datetime | None
    revoked_reason: str
    retires_at: datetime | None
    paused_at: datetime | None
    owner: Owner
    seal_is_valid: bool
    limit: str
    """The key's own rate limit; empty for the default."""
    secret_id: str
    """The secret that was sent; empty where a token stands for the key."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags by which a change notification can name this record."""
        return (f"key:{self.credential.id}", f"user:{self.owner.id}")

    @property
    def counted_as(self) -> str:
        """The id under which calls are counted and limited: both secrets of a key count as one."""
        return self.credential.id

    @property
    def is_terminal(self) -> bool:
        """Whether the key is refused for good."""
        return self.revoked_at is not None


def verify(
    secret: str,
    *,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
    lookup: Lookup = get_or_load,
) -> KeyRecord:
    """Return the record of a secret that is acceptable now, from this address, for this environment and these scopes.

    Raises `RefusedError` with a code of `credentials.refusals`, or `django.db.Error` if the database can't be queried.
    """
    record = lookup(index_digest(index_ring().primary, secret), lambda: load(secret))
    if record is None:
        raise make_refusal("invalid_token")
    check_state(record, at=datetime.now(UTC), address=address, environment=environment, scopes=scopes)
    return record


def load(secret: str) -> KeyRecord | None:
    """Return the record of the key with this secret from the database, or None; one query by the unique digest.

    Text whose form or checksum is wrong costs no query. A cached secret was well formed when it was stored, so a cache
    hit skips this check.
    """
    if not is_well_formed(settings.KEYPORTAL_BRAND, secret):
        return None
    for row in _BY_DIGEST.fetch(*index_digests(index_ring(), secret)):
        kept = KeySecret.from_db("default", SECRET_FIELDS, row[: len(SECRET_FIELDS)])
        return record_of(row[len(SECRET_FIELDS) :], kept)
    return None


def key_fields(path: str = "") -> list[str]:
    """Return the field names that `record_of` needs, for a query that reaches the key over this path."""
    owner = [f"{path}owner__{name}" for name in OWNER_FIELDS]
    return [*(f"{path}{name}" for name in KEY_FIELDS), *owner, "catalogue"]


def _by_digest(digests: Sequence[Placeholder]) -> QuerySet[KeySecret, Any]:
    found = KeySecret.objects.filter(digest__in=digests).annotate(catalogue=catalogue()).order_by()
    return found.values_list(*SECRET_FIELDS, *key_fields("key__"))


_BY_DIGEST: Final = PreparedQuery(_by_digest, BinaryField())


def check_state(  # noqa: C901  # one guard a reason, in the order of the contract
    record: KeyRecord, *, at: datetime, address: Address | None, environment: str | None, scopes: Collection[str]
) -> None:
    """Raise `RefusedError` with the first reason to refuse the record at this moment, or return if there is none."""
    credential = record.credential
    if record.revoked_at:
        raise make_refusal("revoked", **_about(record), at=record.revoked_at.isoformat(), reason=record.revoked_reason)
    if credential.expires_at and credential.expires_at <= at:
        raise make_refusal("expired", **_about(record), at=credential.expires_at.isoformat())
    if record.retires_at and record.retires_at <= at:
        raise make_refusal("retired", **_about(record), at=record.retires_at.isoformat())
    if record.paused_at:
        raise make_refusal("paused", **_about(record), at=record.paused_at.isoformat())
    if not record.owner.is_active:
        raise make_refusal("owner_inactive", **_about(record))
    if record.owner.confirmed_at is None:
        raise make_refusal("account_unconfirmed", **_about(record))
    # A tampered row may still take rights away, so the checks above trust it. It may not grant any.
    if not (record.seal_is_valid and record.owner.seal_is_valid):
        logger.error("integrity_violation: the row seal of %s or of its owner does not match", credential.id)
        raise make_refusal("invalid_token")
    if environment and environment != credential.environment:
        raise make_refusal("wrong_environment", **_about(record), environment=credential.environment)
    if record.networks and not any(address in network for network in record.networks if address):
        seen = {"address": str(address)} if address else {}  # no address behind a Unix socket
        raise make_refusal("network_refused", **_about(record), **seen)
    if not credential.scopes.issuperset(scopes):
        raise insufficient_scope(scopes, credential.scopes, **_about(record))


def _about(record: KeyRecord) -> dict[str, str]:
    """Return what a refusal tells the holder of a genuine secret about its key."""
    return {"counted_as": record.counted_as, "key": record.credential.id, "name": record.credential.name}


def record_of(row: Sequence[Any], secret: KeySecret | None = None) -> KeyRecord:
    """Return the record of a key from the values of `key_fields()`.

    `secret` is the one that was sent; None for a token, which names the key by its id.
    """
    key = APIKey.from_db("default", KEY_FIELDS, row[: len(KEY_FIELDS)])
    *owner, entries = row[len(KEY_FIELDS) : len(KEY_FIELDS) + len(OWNER_FIELDS) + 1]
    seal_is_valid = key.seal_is_valid() and (secret is None or secret.seal_is_valid())
    return KeyRecord(
        credential=Credential(
            kind="api_key",
            id=key.id,
            name=key.name,
            client_id=key.id,
            owner_id=key.owner_id,
            environment=key.environment,
            scopes=names_in(entries).intersection(key.scope_list),
            expires_at=key.expires_at,
        ),
        # A row that the portal did not write may hold text that is not a network; it is refused without parsing it.
        networks=tuple(map(parse_network, key.network_list)) if seal_is_valid else (),
        revoked_at=key.revoked_at,
        revoked_reason=key.revoked_reason,
        retires_at=secret.retires_at if secret else None,
        paused_at=key.paused_at,
        owner=Owner.of_row(owner),
        seal_is_valid=seal_is_valid,
        limit=key.rate_limit,
        secret_id=secret.id if secret else "",
    )
