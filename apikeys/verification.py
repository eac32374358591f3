"""Decide whether an API key is good now: every check, in the order in which it is made.

Digest → verified cache → else format and checksum (no query) → one indexed query joining secret, key, owner and scope
catalogue → state (`credentials.record`). Nothing here writes.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import BinaryField, QuerySet

from accounts.times import rfc3339
from apikeys.models import APIKey, KeySecret
from audit.client_address import Address, parse_network
from credentials.credential import Credential, Owner
from credentials.record import CATALOGUE_COLUMNS, OWNER_COLUMNS, VerifiedRecord, check_state
from credentials.refusals import refusal_error
from credentials.scopes.catalogue import catalogue
from credentials.verdict_query.prepared import Placeholder, PreparedQuery, row_of
from credentials.verified_cache.freshness import Lookup, get_or_load
from integrity.key_check import confirm_rings
from integrity.rings import index_ring
from vault.digests import index_digest, index_digests
from vault.secret_format import is_well_formed

SECRET_COLUMNS: Final = row_of(KeySecret, "ciphertext", "hint", "created_at", "notice_at")
KEY_COLUMNS: Final = row_of(APIKey, "created_at", "form_token", "notice_at")


def verify(
    secret: str,
    *,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
    lookup: Lookup = get_or_load,
) -> VerifiedRecord:
    """Return the record of a secret that is acceptable now, from this address, for this environment and these scopes.

    Raises `RefusedError` with a code of `credentials.refusals`, or `django.db.Error` if the database can't be queried.
    """
    record = find(secret, lookup)
    check_state(record, at=datetime.now(UTC), address=address, environment=environment, scopes=scopes)
    return record


def find(secret: str, lookup: Lookup = get_or_load) -> VerifiedRecord:
    """Return the record of a secret, good or not. Raises as `verify` does."""
    record = lookup(index_digest(index_ring().primary, secret), lambda: load(secret))
    if record is None:
        raise refusal_error("invalid_token")
    return record


def load(secret: str) -> VerifiedRecord | None:
    """Return the record of the key with this secret from the database, or None; one query by the unique digest.

    Text whose form or checksum is wrong costs no query. A cached secret was well formed when it was stored, so a cache
    hit skips this check.
    """
    if not is_well_formed(settings.KEYPORTAL_BRAND, secret):
        return None
    for found in _BY_DIGEST.fetch(*index_digests(index_ring(), secret)):
        return record_of(found.key, owner=found.owner, catalogue=found.catalogue, secret=found.secret)
    confirm_rings()  # another host may have begun to write with a key that this process lacks
    return None


class _Row(NamedTuple):
    secret: KeySecret
    key: APIKey
    owner: Owner
    catalogue: frozenset[str]


def _by_digest(digests: Sequence[Placeholder]) -> QuerySet[KeySecret, Any]:
    return KeySecret.objects.filter(digest__in=digests).annotate(catalogue=catalogue())


_BY_DIGEST: Final = PreparedQuery(
    _by_digest,
    BinaryField(),
    _Row,
    secret=SECRET_COLUMNS,
    key=KEY_COLUMNS.under("key__"),
    owner=OWNER_COLUMNS.under("key__owner__"),
    catalogue=CATALOGUE_COLUMNS,
)


def record_of(
    key: APIKey, *, owner: Owner, catalogue: Collection[str], secret: KeySecret | None = None
) -> VerifiedRecord:
    """Return the record of a key; `secret` is the one that was sent or exchanged, None for the key as a whole."""
    seal_is_valid = key.seal_is_valid() and (secret is None or secret.seal_is_valid())
    ended = {"at": rfc3339(key.revoked_at), "reason": key.revoked_reason} if key.revoked_at else {}
    return VerifiedRecord(
        credential=Credential(
            kind="api_key",
            id=key.id,
            name=key.name,
            client_id=key.id,
            owner_id=key.owner_id,
            environment=key.environment,
            scopes=frozenset(key.scopes.split()).intersection(catalogue),
            expires_at=key.expires_at,
        ),
        owner=owner,
        counted_as=key.id,
        tags=(f"key:{key.id}", f"user:{owner.id}"),
        about={"key": key.id, "name": key.name},
        seal_is_valid=seal_is_valid,
        is_terminal=key.revoked_at is not None,
        ended=ended,
        expires_at=key.expires_at,
        replaced_at=secret.replaced_at if secret else None,
        retires_at=secret.retires_at if secret else None,
        paused_at=key.paused_at,
        paused_until=key.paused_until,
        pause_reason=key.paused_reason,
        # A row that the portal did not write may hold text that is not a network; it is refused without parsing it.
        networks=tuple(map(parse_network, key.networks.split())) if seal_is_valid else (),
        rate_limit=key.rate_limit,
        secret_id=secret.id if secret else "",
    )
