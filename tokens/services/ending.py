"""Verbs that end log-ins and access tokens.

A conditional UPDATE decides a race: the caller whose UPDATE sets `ended_at`, which was null, ends the family.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import confirm_rows
from tokens.models import RevokedToken, TokenFamily
from vault.signing import Claims


@transaction.atomic
def end_family(*, family: TokenFamily, reason: str, origin: Origin, verb: EventType = EventType.TOKENS_REVOKED) -> bool:
    """End a log-in with its refresh token and access tokens; return False if it had already ended.

    Of any number of concurrent callers, one gets True, and one event is written. Raises
    `integrity.sealed.UndoneChangeError`.
    """
    family.ended_at = timezone.now()
    ended = TokenFamily.objects.filter(pk=family.pk, ended_at=None).update(
        ended_at=family.ended_at, ended_reason=reason, seal=family.make_seal()
    )
    confirm_rows(TokenFamily.objects.filter(pk=family.pk, ended_at=None), exist=False)
    if ended:
        latest = family.ended_at + timedelta(seconds=settings.KEYPORTAL_ACCESS_LIFETIME)
        _put_on_the_list(settings.KEYPORTAL_URL, family.pk, latest)
        record_event(verb, subject=f"user:{family.user_id}", origin=origin, family=family.pk, reason=reason)
    return bool(ended)


@transaction.atomic
def revoke_token(*, claims: Claims, origin: Origin, reason: str = "") -> bool:
    """Revoke one access token; return False if it was revoked before.

    Raises `integrity.sealed.UndoneChangeError`.
    """
    revoked = _put_on_the_list(claims.issuer, claims.token_id, datetime.fromtimestamp(claims.expires_at, UTC))
    if revoked:
        about = {"token": claims.token_id, "reason": reason}
        record_event(EventType.TOKEN_REVOKED, subject=claims.subject, origin=origin, **about)
    return revoked


def _put_on_the_list(issuer: str, token_id: str, until: datetime) -> bool:
    """Add a token, or all tokens of a log-in, to the revocation list; return whether it was new."""
    try:
        _, is_new = RevokedToken.objects.get_or_create(issuer=issuer, token_id=token_id, defaults={"expires_at": until})
    except TypeError:  # Django reads the id of a row that PostgreSQL did not insert
        is_new = True
    if is_new:
        confirm_rows(RevokedToken.objects.filter(issuer=issuer, token_id=token_id, expires_at__gte=until))
    return is_new
