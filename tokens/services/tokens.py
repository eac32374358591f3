"""Verbs that issue and refresh tokens.

A conditional UPDATE decides a race: the caller whose UPDATE sets `used_at`, which was null, spends the refresh token.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.new_devices import send_new_device
from accounts.places import address_bucket
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.record import VerifiedRecord
from credentials.scopes.models import MANAGEMENT, Scope
from integrity.key_check import confirm_rings_once, index_key_to_write
from integrity.sealed import swap
from tokens import audiences
from tokens.errors import InvalidGrantError, InvalidScopeError
from tokens.identification import refresh_token_of
from tokens.minting import about, sign_access_token
from tokens.models import RefreshToken, TokenFamily
from tokens.services.ending import end_family
from vault.digests import index_digest
from vault.secret_format import REFRESH, new_secret
from vault.signing import Claims

logger = logging.getLogger(__name__)

PORTAL_CLIENT = "portal"
"""The public client to which log-ins by password belong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """The tokens issued to a client (RFC 6749 §5.1). Tokens leave this module in no other way."""

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    refresh_token: str | None = field(default=None, repr=False)

    def members(self) -> dict[str, str | int]:
        """Return the members of the response (RFC 6749 §5.1)."""
        members: dict[str, str | int] = {"access_token": self.access_token, "token_type": "Bearer"}
        members |= {"expires_in": self.expires_in, "scope": self.scope}
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
        return members


@transaction.atomic
def issue_to_user(
    *, user: User, scopes: Collection[str] | None, agent: str, origin: Origin, resource: str | None = None
) -> TokenResponse:
    """Start a family for a log-in that the caller has verified, and return its first pair of tokens.

    `scopes` None requests all scopes that developers may take themselves, but for those that manage keys; `resource`
    None means the portal's own audience. If the program is new there, the user is notified. Raises `InvalidScopeError`,
    `InvalidTargetError`.
    """
    confirm_rings_once()
    available = [scope.name for scope in Scope.objects.filter(restricted=False).with_valid_seals()]
    granted = _grant(_or_default(scopes, available), available)
    family = TokenFamily(user=user, scopes=granted, epoch=user.auth_epoch, address=origin.address, agent=agent)
    family.audience = audiences.grant(resource)
    family.expires_at = family.started_at + timedelta(seconds=settings.KEYPORTAL_REFRESH_LIFETIME)
    is_new = _is_new_device(family)
    family.seal = family.make_seal()
    family.save(force_insert=True)
    token, secret = _new_refresh_token(family, family.started_at)
    token.save(force_insert=True)
    response, claims = _issue_access_token(family, granted, secret)
    if is_new:
        send_new_device(user=user, agent=agent, is_program=True, origin=origin)
    record_event(EventType.APP_LOGGED_IN, subject=claims.subject, origin=origin, new_device=is_new, **about(claims))
    return response


@transaction.atomic
def issue_to_key(
    *, client: VerifiedRecord, scopes: Collection[str] | None, origin: Origin, resource: str | None = None
) -> TokenResponse:
    """Exchange a key, whose secret the caller has verified, for an access token, which ends with that secret.

    There is never a refresh token (RFC 6749 §4.4.3). `scopes` None requests all that the key has, but for those that
    manage keys; `resource` None means the portal's own audience. Raises `InvalidScopeError`, `InvalidTargetError`.
    """
    key = client.credential
    granted = _grant(_or_default(scopes, key.scopes), key.scopes)
    access_token, claims = sign_access_token(
        subject=f"key:{key.id}",
        client_id=key.id,
        scope=granted,
        environment=key.environment,
        audience=audiences.grant(resource),
        epoch=client.owner.epoch,
        secret_id=client.secret_id,
        not_after=min((end for end in (key.expires_at, client.retires_at) if end), default=None),
    )
    record_event(EventType.TOKEN_ISSUED, subject=claims.subject, origin=origin, **about(claims))
    return TokenResponse(access_token=access_token, expires_in=claims.expires_at - claims.issued_at, scope=granted)


def refresh(
    *,
    secret: str,
    scopes: Collection[str] | None,
    client_id: str | None,
    origin: Origin,
    resource: str | None = None,
) -> TokenResponse:
    """Exchange a refresh token for the next pair. One that was used before ends its whole family (RFC 9700 §4.14.2).

    A narrower scope applies to this access token only; `resource` can only be the log-in's. Raises `InvalidGrantError`,
    `InvalidScopeError`, `InvalidTargetError`.
    """
    token = _find_token(secret)
    if client_id not in (None, PORTAL_CLIENT):
        raise InvalidGrantError  # issued to another client: refused, and not spent
    family = token.family
    now = timezone.now()
    _refuse_ended(family, now)
    if token.used_at is not None:  # possible theft: reveal nothing else, and end the family
        _end_if_used_before(token, now, origin)
        raise InvalidGrantError
    audiences.refuse_another(resource, of_log_in=family.audience)
    granted = _grant(scopes, family.scopes.split())
    successor, next_secret = _new_refresh_token(family, now)
    with transaction.atomic():
        # Only conditions on the token's own row. For a condition across a join Django writes `id IN (SELECT …)`, which
        # PostgreSQL does not evaluate again after waiting for the row, and two callers would win. The seal that was
        # read is that of an unspent token. A family that ends meanwhile takes the successor with it.
        unspent = token.used_at is None and token.expires_at > now
        if unspent and swap(token, {"used_at": now, "replaced_by": successor.pk}):
            successor.save(force_insert=True)
            TokenFamily.objects.filter(pk=family.pk, refreshed_at__lt=now).update(refreshed_at=now)
            response, claims = _issue_access_token(family, granted, next_secret)
            record_event(EventType.TOKEN_REFRESHED, subject=claims.subject, origin=origin, **about(claims))
            return response
    _end_if_used_before(token, now, origin)
    raise InvalidGrantError


def redeemable(secret: str) -> RefreshToken | None:
    """Return the row of a refresh token that `refresh` would accept now, or None. Spends nothing."""
    now = timezone.now()
    try:
        token = _find_token(secret)
        _refuse_ended(token.family, now)
    except InvalidGrantError:
        return None
    return token if token.used_at is None and token.expires_at > now else None


def _or_default(requested: Collection[str] | None, available: Collection[str]) -> Collection[str]:
    """Return the requested scopes; by default all that are available, but for those that manage keys."""
    return set(available) - MANAGEMENT if requested is None else requested


def _grant(requested: Collection[str] | None, available: Collection[str]) -> str:
    """Return the granted scopes as stored and answered: sorted, separated by spaces. Raises `InvalidScopeError`."""
    if requested is not None and not set(requested) <= set(available):
        raise InvalidScopeError
    return " ".join(sorted(set(available if requested is None else requested)))


def _find_token(secret: str) -> RefreshToken:
    token = refresh_token_of(secret)
    if token is None:
        raise InvalidGrantError
    if not (token.seal_is_valid() and token.family.seal_is_valid()):
        logger.error("integrity_violation: the row seal of %s or %s does not match", token.pk, token.family_id)
        raise InvalidGrantError
    return token


def _refuse_ended(family: TokenFamily, now: datetime) -> None:
    user = family.user
    has_ended = family.ended_at or family.expires_at <= now or family.epoch != user.auth_epoch
    if has_ended or not user.is_active or not user.is_confirmed:
        raise InvalidGrantError
    if not user.seal_is_valid():
        logger.error("integrity_violation: the row seal of %s does not match", user.pk)
        raise InvalidGrantError


def _end_if_used_before(token: RefreshToken, now: datetime, origin: Origin) -> None:
    """End the family of a token that was already spent: either this caller or an earlier one may have stolen it."""
    used_at = RefreshToken.objects.values_list("used_at", flat=True).get(pk=token.pk)
    if used_at and used_at <= now - timedelta(seconds=settings.KEYPORTAL_REFRESH_GRACE):
        end_family(family=token.family, reason="refresh token used twice", origin=origin, verb=EventType.REFRESH_REUSE)


def _is_new_device(family: TokenFamily) -> bool:
    """Return whether no other log-in that is still on record was made by this program from this place."""
    earlier = TokenFamily.objects.filter(user=family.user, agent=family.agent)
    if earlier.filter(address=family.address).exists():
        return False
    place = address_bucket(family.address or "")
    return all(
        address_bucket(address or "") != place for address in earlier.values_list("address", flat=True).distinct()
    )


def _new_refresh_token(family: TokenFamily, now: datetime) -> tuple[RefreshToken, str]:
    secret = new_secret(settings.KEYPORTAL_BRAND, REFRESH)
    index_key = index_key_to_write()
    token = RefreshToken(family=family, digest=index_digest(index_key, secret), index_key_id=index_key.id)
    token.issued_at = now
    token.expires_at = min(now + timedelta(seconds=settings.KEYPORTAL_REFRESH_IDLE), family.expires_at)
    token.seal = token.make_seal()
    return token, secret


def _issue_access_token(family: TokenFamily, scope: str, refresh_token: str) -> tuple[TokenResponse, Claims]:
    access_token, claims = sign_access_token(
        subject=f"user:{family.user_id}",
        client_id=PORTAL_CLIENT,
        scope=scope,
        environment="live",
        audience=family.audience,
        epoch=family.epoch,
        family=family.pk,
    )
    lifetime = claims.expires_at - claims.issued_at
    return TokenResponse(
        access_token=access_token, expires_in=lifetime, scope=scope, refresh_token=refresh_token
    ), claims
