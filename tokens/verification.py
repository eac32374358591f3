"""Decide whether an access token is good now: every check, in the order in which it is made.

Verified cache → else signature, type, issuer, audience and times (no query, `vault.signing`) → one query: its owner, or
the key and the secret that was exchanged for it, the revoked tokens and the scope catalogue → audience, state
(`credentials.record`). Nothing here writes.
"""

import hashlib
import logging
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import CharField, Exists, Manager, QuerySet

from accounts.models import User
from accounts.times import rfc3339
from apikeys.models import APIKey, KeySecret
from apikeys.verification import KEY_COLUMNS, SECRET_COLUMNS, record_of
from audit.client_address import Address
from credentials.credential import Credential, Owner
from credentials.record import CATALOGUE_COLUMNS, OWNER_COLUMNS, VerifiedRecord, check_state
from credentials.refusals import RefusedError, foreign_token_error, refusal_error
from credentials.scopes.catalogue import catalogue
from credentials.verdict_query.prepared import Placeholder, PreparedQuery, row_of, value_of
from credentials.verified_cache.freshness import Lookup, get_or_load
from integrity.rings import signing_ring
from tokens.audiences import AudienceRequest, expected_audience, is_audience
from tokens.models import RevokedToken, TokenFamily
from vault.errors import TokenForAnotherError, TokenInvalidError
from vault.signing import Claims, TokenExpiredError, read

logger = logging.getLogger(__name__)

FAMILY_COLUMNS: Final = row_of(TokenFamily, "refreshed_at", "ended_reason", "address", "agent")


def verify(
    token: str,
    *,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
    audience: AudienceRequest = None,
    lookup: Lookup = get_or_load,
) -> VerifiedRecord:
    """Return the record of a token that is good now, from this address, for this environment, scopes and audience.

    `audience` None means the portal's own: a token for another service is as unknown as a forged one. Raises
    `RefusedError` with a code of `credentials.refusals`, or `django.db.Error` if the database can't be queried.
    """
    record = find(token, audience=audience, lookup=lookup)
    check_state(record, at=datetime.now(UTC), address=address, environment=environment, scopes=scopes)
    return record


def find(token: str, *, audience: AudienceRequest = None, lookup: Lookup = get_or_load) -> VerifiedRecord:
    """Return the record of a token for this audience that has not expired. Raises as `verify` does."""
    expected = expected_audience(audience)
    record = lookup(hashlib.sha256(token.encode()).digest(), lambda: load(token, audience=expected))
    if record is None or record.claims is None:
        raise refusal_error("invalid_token")
    # A cached token may be meant for another service, which had it checked before, or have expired meanwhile.
    if expected not in (None, record.claims.audience):
        raise foreign_token_error()
    if record.expires_at and record.expires_at <= datetime.now(UTC):
        raise _expired_refusal(record.claims, counted_as=record.counted_as)
    return record


def load(token: str, *, audience: str | None) -> VerifiedRecord | None:
    """Read the token and query the database for its subject. Raises `RefusedError` for an invalid or expired token."""
    try:
        claims = read_token(token, audience=audience)
    except TokenForAnotherError:
        raise foreign_token_error() from None
    except TokenInvalidError as error:
        logger.info("token refused: %s", error)
        raise refusal_error("invalid_token") from None
    except TokenExpiredError as error:
        raise _expired_refusal(error.claims) from None
    return load_subject(claims)


def read_token(token: str, *, audience: str | None) -> Claims:
    """Return the claims of one of the portal's own tokens, for this audience (None: any), within its validity period.

    Raises `TokenInvalidError`, `TokenExpiredError`.
    """
    claims = read(
        signing_ring(),
        token,
        issuer=settings.KEYPORTAL_URL,
        audience=audience,
        now=time.time(),
        leeway=settings.KEYPORTAL_LEEWAY,
    )
    if not is_audience(claims.audience):
        raise TokenInvalidError("aud is out of bounds")
    return claims


def load_subject(claims: Claims) -> VerifiedRecord | None:
    """Query the database for the token's subject, in one query; None if the log-in or key does not exist (any more)."""
    kind, _, subject_id = claims.subject.partition(":")
    if kind == "key" and claims.secret_id:
        for of_key in _OF_KEY.fetch(claims.secret_id, claims.issuer, claims.token_id):
            return _of_key(claims, of_key) if of_key.key.id == subject_id else None
    if kind == "user" and claims.family:
        for of_family in _OF_FAMILY.fetch(claims.family, claims.issuer, claims.token_id, claims.family):
            return _of_family(claims, of_family) if of_family.family.user_id == subject_id else None
    elif kind == "user":
        for of_user in _OF_USER.fetch(subject_id, claims.issuer, claims.token_id):
            return _record_of_token(claims, of_user.owner, of_user.catalogue, is_revoked=of_user.is_revoked)
    return None


class _KeyRow(NamedTuple):
    secret: KeySecret
    key: APIKey
    owner: Owner
    catalogue: frozenset[str]
    is_revoked: bool


class _UserRow(NamedTuple):
    owner: Owner
    catalogue: frozenset[str]
    is_revoked: bool


class _FamilyRow(NamedTuple):
    family: TokenFamily
    owner: Owner
    catalogue: frozenset[str]
    is_revoked: bool


def _of_key(claims: Claims, found: _KeyRow) -> VerifiedRecord:
    """Return the record of a token that a key was exchanged for: it may do no more, and no longer, than its secret."""
    key = record_of(found.key, owner=found.owner, catalogue=found.catalogue, secret=found.secret)
    return _record_of_token(
        claims, key.owner, key.credential.scopes, is_revoked=found.is_revoked, seal_is_valid=key.seal_is_valid, key=key
    )


def _of_family(claims: Claims, found: _FamilyRow) -> VerifiedRecord:
    """Return the record of a log-in's token. A log-in that was ended stays ended, whatever other rows are deleted."""
    is_revoked, seal_is_valid = found.is_revoked or found.family.ended_at is not None, found.family.seal_is_valid()
    return _record_of_token(claims, found.owner, found.catalogue, is_revoked=is_revoked, seal_is_valid=seal_is_valid)


def _annotate(subjects: Manager[Any], parameters: Sequence[Placeholder]) -> QuerySet[Any, Any]:
    subject, issuer, *named = parameters
    revoked = RevokedToken.objects.filter(issuer=issuer, token_id__in=named)
    chosen: QuerySet[Any, Any] = subjects.filter(pk=subject)
    annotated: QuerySet[Any, Any] = chosen.annotate(catalogue=catalogue(), token_is_revoked=Exists(revoked))
    return annotated


_REVOKED: Final = value_of("token_is_revoked")
_OF_KEY: Final = PreparedQuery(
    lambda parameters: _annotate(KeySecret.objects, parameters),
    CharField(),
    _KeyRow,
    secret=SECRET_COLUMNS,
    key=KEY_COLUMNS.under("key__"),
    owner=OWNER_COLUMNS.under("key__owner__"),
    catalogue=CATALOGUE_COLUMNS,
    is_revoked=_REVOKED,
)
_OF_USER: Final = PreparedQuery(
    lambda parameters: _annotate(User.objects, parameters),
    CharField(),
    _UserRow,
    owner=OWNER_COLUMNS,
    catalogue=CATALOGUE_COLUMNS,
    is_revoked=_REVOKED,
)
_OF_FAMILY: Final = PreparedQuery(
    lambda parameters: _annotate(TokenFamily.objects, parameters),
    CharField(),
    _FamilyRow,
    family=FAMILY_COLUMNS,
    owner=OWNER_COLUMNS.under("user__"),
    catalogue=CATALOGUE_COLUMNS,
    is_revoked=_REVOKED,
)


def _expired_refusal(claims: Claims, *, counted_as: str = "") -> RefusedError:
    expired_at = datetime.fromtimestamp(claims.expires_at, UTC)
    return refusal_error(
        "expired", counted_as=counted_as, token=claims.token_id, client=claims.client_id, at=rfc3339(expired_at)
    )


def _record_of_token(
    claims: Claims,
    owner: Owner,
    allowed: Collection[str],
    *,
    is_revoked: bool,
    seal_is_valid: bool = True,
    key: VerifiedRecord | None = None,
) -> VerifiedRecord:
    """Return the record: the token's claims, limited to what its subject may still do."""
    expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
    tags = [f"token:{name}" for name in (claims.token_id, claims.family) if name]
    return VerifiedRecord(
        credential=Credential(
            kind="access_token",
            id=claims.token_id,
            name=key.credential.name if key else "",
            client_id=claims.client_id,
            owner_id=owner.id,
            environment=claims.environment,
            scopes=frozenset(claims.scope.split()).intersection(allowed),
            expires_at=expires_at,
        ),
        owner=owner,
        counted_as=key.counted_as if key else owner.id,
        tags=(*tags, *(key.tags if key else (f"user:{owner.id}",))),
        about={"token": claims.token_id, "client": claims.client_id},
        seal_is_valid=seal_is_valid,
        is_terminal=is_revoked,
        expires_at=expires_at + timedelta(seconds=settings.KEYPORTAL_LEEWAY),
        rate_limit=key.rate_limit if key else "",
        secret_id=key.secret_id if key else "",
        key=key,
        claims=claims,
        is_outdated=owner.epoch != claims.epoch,
    )
