"""The record of a credential, and whether its state allows a call."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.http import http_date

from accounts.models import User
from accounts.times import rfc3339
from audit.client_address import Address, Network
from credentials.credential import Credential, Owner
from credentials.refusals import RefusedError, insufficient_scope_error, refusal_error
from credentials.scopes.catalogue import names_in
from credentials.verdict_query.prepared import Piece
from integrity.rings import sealing_ring
from vault.signing import Claims

logger = logging.getLogger(__name__)

EXPIRY_NOTICE: Final = timedelta(days=30)
"""For how long before a key expires its answers say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRecord:
    """What a verdict about a key or token depends on, as the database has it. Holds no secret and no verdict.

    Every moment is UTC, and None if it does not apply.
    """

    credential: Credential
    owner: Owner
    counted_as: str
    """The id for usage and rate limits: the key's, also for its tokens and both its secrets; else the user's."""
    tags: tuple[str, ...]
    """The tags by which a change notification can name this record: `key:key_…`, `user:usr_…`, `token:tok_…`."""
    about: Mapping[str, str]
    """What a refusal tells the holder of a genuine credential: which one it is."""
    seal_is_valid: bool
    """Whether the portal wrote all its rows as they are, the owner's aside."""
    is_terminal: bool
    """Whether it has ended for good, so that there is no point in caching it."""
    ended: Mapping[str, str] = field(default_factory=dict)
    """For one that has ended: when and why, as far as that may be told."""
    expires_at: datetime | None = None
    """When it is refused from: for a token, after the leeway."""
    replaced_at: datetime | None = None
    """When a newer secret of the key took the place of this one."""
    retires_at: datetime | None = None
    """When a replaced secret stops working."""
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    """When a pause ends by itself."""
    pause_reason: str = ""
    networks: tuple[Network, ...] = ()
    """The networks that it is allowed from; empty for any."""
    rate_limit: str = ""
    """The key's own rate limit; empty for the default."""
    secret_id: str = ""
    """The key's secret that was sent, or exchanged for the token; empty for a log-in's token."""
    key: "VerifiedRecord | None" = None
    """The key that a token was exchanged for."""
    claims: Claims | None = None
    """The claims of a token."""
    is_outdated: bool = False
    """Whether all tokens of the account were ended since this one was issued."""

    def lifetime_headers(self) -> dict[str, str]:
        """Return the response headers that announce the end of a replaced secret, and of a key; mostly none.

        Deprecation (RFC 9745) and Sunset (RFC 8594) during an overlap; `X-Keyportal-Expires` in the last 30 days.
        """
        key = self.key or self
        if key.credential.key_id == "" or not (key.expires_at or key.retires_at):
            return {}
        headers = {}
        if key.retires_at and key.replaced_at:
            headers["Deprecation"] = f"@{int(key.replaced_at.timestamp())}"
            headers["Sunset"] = http_date(key.retires_at.timestamp())
        if key.expires_at and key.expires_at - datetime.now(UTC) <= EXPIRY_NOTICE:
            headers["X-Keyportal-Expires"] = rfc3339(key.expires_at)
        return headers


def owner_of(user: User) -> Owner:
    """Return the part of a user that a verdict depends on."""
    return Owner(user.pk, user.email, user.is_active, user.confirmed_at, user.auth_epoch, user.seal_is_valid())


_USER_COLUMNS: Final = User.sealed_columns()
OWNER_COLUMNS: Final = Piece(_USER_COLUMNS, lambda values: owner_of(User.from_db("default", _USER_COLUMNS, values)))
"""The part of a query's rows that becomes the owner."""
CATALOGUE_COLUMNS: Final = Piece(("catalogue",), lambda values: names_in(sealing_ring(), values[0] or ""))
"""The part that becomes the names of all scopes, in a query annotated with `credentials.scopes.catalogue`."""


def check_state(
    record: VerifiedRecord,
    *,
    at: datetime,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
) -> None:
    """Raise `RefusedError` with the first reason to refuse the record at this moment, or return if there is none.

    Verifiers in other processes check the same (`clients/verdicts.json`).
    """
    credential, owner, whose = record.credential, record.owner, record.key or record
    _check_ended(record, at)
    if record.key is not None:
        _check_ended(record.key, at)
    if not owner.is_active:
        raise _refusal("owner_inactive", whose)
    if owner.confirmed_at is None:
        raise _refusal("account_unconfirmed", whose)
    # A tampered row may still take rights away, so the checks above trust it. It may not grant any.
    if not (record.seal_is_valid and whose.seal_is_valid and owner.seal_is_valid):
        logger.error("integrity_violation: the row seal of %s or of its owner does not match", whose.credential.id)
        raise refusal_error("invalid_token")
    if record.is_outdated:
        raise _refusal("revoked", record)
    if environment and environment != credential.environment:
        raise _refusal_now("wrong_environment", record, environment=credential.environment)
    if whose.networks and not any(address in network for network in whose.networks if address):
        seen = {"address": str(address)} if address else {}  # no address behind a Unix socket
        raise _refusal_now("network_refused", whose, **seen)
    if not credential.scopes.issuperset(scopes):
        raise insufficient_scope_error(
            scopes, credential.scopes, counted_as=record.counted_as, headers=record.lifetime_headers(), **record.about
        )


def _check_ended(record: VerifiedRecord, at: datetime) -> None:
    """Raise `RefusedError` if a key, its secret or a token has ended, or is paused, at this moment."""
    if record.is_terminal:
        raise _refusal("revoked", record, **record.ended)
    if record.expires_at and record.expires_at <= at:
        ends = record.credential.expires_at
        raise _refusal("expired", record, at=rfc3339(ends) if ends else "None")
    if record.retires_at and record.retires_at <= at:
        raise _refusal("retired", record, at=rfc3339(record.retires_at))
    if record.paused_at and (record.paused_until is None or record.paused_until > at):
        raise _refusal("paused", record, at=rfc3339(record.paused_at), **_pause(record))


def _refusal_now(code: str, record: VerifiedRecord, **more: str) -> RefusedError:
    """Return the refusal of a credential that is good elsewhere, and is told of its end as it would be there."""
    error = _refusal(code, record, **more)
    return RefusedError(replace(error.refusal, headers=record.lifetime_headers()))


def _pause(record: VerifiedRecord) -> dict[str, str]:
    """Return what the holder is told of a pause beside its beginning."""
    until = {"until": rfc3339(record.paused_until)} if record.paused_until else {}
    return until | ({"reason": record.pause_reason} if record.pause_reason else {})


def _refusal(code: str, record: VerifiedRecord, **more: str) -> RefusedError:
    return refusal_error(code, counted_as=record.counted_as, **record.about, **more)
