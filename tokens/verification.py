"""Decide whether an access token is good now: every check, in the order in which it is made.

Verified cache → else signature, type, issuer, audience and times (no query, `vault.signing`) → one query: its owner, or
the key that it was issued to, the revoked tokens and the scope catalogue → audience, state. Nothing here writes.
"""

import hashlib
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import CharField, Exists, Manager, QuerySet

from accounts.models import User
from apikeys.models import APIKey
from apikeys.verification import KeyRecord, key_fields, record_of
from apikeys.verification import check_state as check_key_state
from audit.client_address import Address
from credentials.credential import OWNER_FIELDS, Credential, Owner
from credentials.refusals import RefusedError, foreign, insufficient_scope, make_refusal
from credentials.scopes.catalogue import catalogue, names_in
from credentials.verdict_query.prepared import Placeholder, PreparedQuery, fields_but
from credentials.verified_cache.record_lookup import Lookup, get_or_load
from integrity.rings import signing_ring
from tokens.audiences import AudienceRequest, expected_audience, is_audience
from tokens.models import RevokedToken, TokenFamily
from vault.errors import TokenForAnotherError, TokenInvalidError
from vault.signing import Claims, TokenExpiredError, read

logger = logging.getLogger(__name__)

FAMILY_FIELDS: Final = fields_but(TokenFamily, "refreshed_at", "ended_reason", "address", "agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What a verdict about a token depends on, as the database has it. Holds no token and no verdict."""

    credential: Credential
    claims: Claims
    owner: Owner
    key: KeyRecord | None
    """The key that was exchanged for the token; None if the token comes from a log-in."""
    revoked: bool
    """Whether it was revoked, alone or with its log-in."""
    seal_is_valid: bool
    """Whether the row of the key or log-in is as the portal wrote it."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags by which a change notification can name this record."""
        own = (f"token:{self.claims.token_id}", f"token:{self.claims.family}", f"user:{self.owner.id}")
        return (*own, *self.key.tags) if self.key else own

    @property
    def counted_as(self) -> str:
        """The id under which calls are counted and limited: the key that was exchanged for it, or the user."""
        return self.key.counted_as if self.key else self.owner.id

    @property
    def secret_id(self) -> str:
        """The secret that was sent; a token has none."""
        return ""

    @property
    def limit(self) -> str:
        """The key's own rate limit; empty for the default."""
        return self.key.limit if self.key else ""

    @property
    def is_terminal(self) -> bool:
        """Whether the token is refused for good."""
        return self.revoked


def verify(
    token: str,
    *,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
    audience: AudienceRequest = None,
    lookup: Lookup = get_or_load,
) -> TokenRecord:
    """Return the record of a token that is good now, from this address, for this environment, scopes and audience.

    `audience` None means the portal's own: a token for another service is as unknown as a forged one. Raises
    `RefusedError` with a code of `credentials.refusals`, or `django.db.Error` if the database can't be queried.
    """
    wanted = expected_audience(audience)
    record = lookup(hashlib.sha256(token.encode()).digest(), lambda: load(token, audience=wanted))
    # A cached token may be meant for another service, which asked for it before.
    if record is None:
        raise make_refusal("invalid_token")
    if wanted not in (None, record.claims.audience):
        raise foreign()
    check_state(record, at=datetime.now(UTC), address=address, environment=environment, scopes=scopes)
    return record


def load(token: str, *, audience: str | None) -> TokenRecord | None:
    """Read the token and query the database for its subject. Raises `RefusedError` for an invalid or expired token."""
    try:
        claims = read_token(token, audience=audience)
    except TokenForAnotherError:
        raise foreign() from None
    except TokenInvalidError as error:
        logger.info("token refused: %s", error)
        raise make_refusal("invalid_token") from None
    except TokenExpiredError as error:
        raise _expired_error(error.claims) from None
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


def load_subject(claims: Claims) -> TokenRecord | None:
    """Query the database for the token's subject, in one query; None if the log-in or key does not exist (any more)."""
    kind, _, subject_id = claims.subject.partition(":")
    if kind == "key":
        for *row, revoked in _OF_KEY.fetch(subject_id, claims.issuer, claims.token_id):
            key = record_of(row)
            return _record(
                claims, key.owner, key.credential.scopes, revoked=revoked, seal_is_valid=key.seal_is_valid, key=key
            )
    if kind == "user" and claims.family:
        return _load_family(claims, subject_id, claims.family)
    if kind == "user":
        for *owner, entries, revoked in _OF_USER.fetch(subject_id, claims.issuer, claims.token_id):
            return _record(
                claims, Owner.of_row(owner), names_in(entries), revoked=revoked, seal_is_valid=True, key=None
            )
    return None


def _load_family(claims: Claims, user_id: str, family_id: str) -> TokenRecord | None:
    """Look up the log-in of the token. One that was ended stays ended, whatever other rows are deleted."""
    for row in _OF_FAMILY.fetch(family_id, claims.issuer, claims.token_id, family_id):
        *owner, entries, revoked = row[len(FAMILY_FIELDS) :]
        family = TokenFamily.from_db("default", FAMILY_FIELDS, row[: len(FAMILY_FIELDS)])
        if family.user_id == user_id:
            over, seal_is_valid = revoked or family.ended_at is not None, family.seal_is_valid()
            return _record(
                claims, Owner.of_row(owner), names_in(entries), revoked=over, seal_is_valid=seal_is_valid, key=None
            )
    return None


def _of_key(parameters: Sequence[Placeholder]) -> QuerySet[APIKey, Any]:
    return _annotate(APIKey.objects, parameters).values_list(*key_fields(), "token_is_revoked")


def _of_user(parameters: Sequence[Placeholder]) -> QuerySet[User, Any]:
    return _annotate(User.objects, parameters).values_list(*OWNER_FIELDS, "catalogue", "token_is_revoked")


def _of_family(parameters: Sequence[Placeholder]) -> QuerySet[TokenFamily, Any]:
    owner = [f"user__{name}" for name in OWNER_FIELDS]
    return _annotate(TokenFamily.objects, parameters).values_list(
        *FAMILY_FIELDS, *owner, "catalogue", "token_is_revoked"
    )


def _annotate(subjects: Manager[Any], parameters: Sequence[Placeholder]) -> QuerySet[Any, Any]:
    subject, issuer, *named = parameters
    revoked = RevokedToken.objects.filter(issuer=issuer, token_id__in=named)
    chosen: QuerySet[Any, Any] = subjects.filter(pk=subject).order_by()
    annotated: QuerySet[Any, Any] = chosen.annotate(catalogue=catalogue(), token_is_revoked=Exists(revoked))
    return annotated


_OF_KEY: Final = PreparedQuery(_of_key, CharField())
_OF_USER: Final = PreparedQuery(_of_user, CharField())
_OF_FAMILY: Final = PreparedQuery(_of_family, CharField())


def check_state(
    record: TokenRecord, *, at: datetime, address: Address | None, environment: str | None, scopes: Collection[str]
) -> None:
    """Raise `RefusedError` with the first reason to refuse the record at this moment, or return if there is none."""
    credential, owner = record.credential, record.owner
    about = {"counted_as": record.counted_as, "token": credential.id, "client": credential.client_id}
    if record.claims.expires_at <= at.timestamp() - settings.KEYPORTAL_LEEWAY:
        raise _expired_error(record.claims, counted_as=record.counted_as)
    if record.revoked:
        raise make_refusal("revoked", **about)
    if record.key is not None:
        check_key_state(record.key, at=at, address=address, environment=None, scopes=())
    if not owner.is_active:
        raise make_refusal("owner_inactive", **about)
    if owner.confirmed_at is None:
        raise make_refusal("account_unconfirmed", **about)
    if not (owner.seal_is_valid and record.seal_is_valid):
        logger.error("integrity_violation: the row seal of the owner or the log-in of %s does not match", credential.id)
        raise make_refusal("invalid_token")
    if owner.epoch != record.claims.epoch:
        raise make_refusal("revoked", **about)
    if environment and environment != credential.environment:
        raise make_refusal("wrong_environment", **about, environment=credential.environment)
    if not credential.scopes.issuperset(scopes):
        raise insufficient_scope(scopes, credential.scopes, **about)


def _expired_error(claims: Claims, *, counted_as: str = "") -> RefusedError:
    over = datetime.fromtimestamp(claims.expires_at, UTC)
    return make_refusal("expired", counted_as=counted_as, token=claims.token_id, at=over.isoformat())


def _record(
    claims: Claims, owner: Owner, allowed: Iterable[str], *, revoked: bool, seal_is_valid: bool, key: KeyRecord | None
) -> TokenRecord:
    """Return the record: the token's claims, limited to what its subject may still do."""
    return TokenRecord(
        credential=Credential(
            kind="access_token",
            id=claims.token_id,
            name=key.credential.name if key else "",
            client_id=claims.client_id,
            owner_id=owner.id,
            environment=claims.environment,
            scopes=frozenset(allowed).intersection(claims.scope.split()),
            expires_at=datetime.fromtimestamp(claims.expires_at, UTC),
        ),
        claims=claims,
        owner=owner,
        key=key,
        revoked=revoked,
        seal_is_valid=seal_is_valid,
    )
