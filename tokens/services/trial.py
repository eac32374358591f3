"""Issue and end the tokens with which developers try calls on the pages of the API reference."""

from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.attempts import AttemptLimit
from accounts.issuing import refuse_while_suspended
from accounts.models import User
from accounts.signals import signed_out
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.scopes.models import Scope
from integrity.key_check import confirm_rings_once
from tokens import audiences
from tokens.minting import about, sign_access_token
from tokens.models import TokenFamily
from tokens.services.ending import end_family
from tokens.services.tokens import PORTAL_CLIENT, TokenResponse

AGENT: Final = "API reference"
LIMIT: Final = AttemptLimit("KEYPORTAL_LIMIT_TOKENS", "Too many tokens were issued to this account.")


def issue_to_try(*, user: User, origin: Origin) -> TokenResponse:
    """Return an access token for the test environment, with all scopes that developers can take; it can't be renewed.

    So no secret is pasted into a page, and calls that are tried change test keys only. The token ends when the user
    signs out. The caller must require a fresh log-in, because the token gives away secrets of test keys. Raises
    `accounts.attempts.TooManyAttemptsError`, `accounts.errors.IssuingSuspendedError`.
    """
    LIMIT.enforce(user.pk)  # on its own, because it counts what is refused as well
    return _issue(user, origin)


@transaction.atomic
def _issue(user: User, origin: Origin) -> TokenResponse:
    confirm_rings_once()
    refuse_while_suspended()
    scopes = " ".join(sorted(scope.name for scope in Scope.objects.filter(restricted=False).with_valid_seals()))
    family = TokenFamily(user=user, scopes=scopes, epoch=user.auth_epoch, address=origin.address, agent=AGENT)
    family.audience = audiences.grant(None)
    family.expires_at = timezone.now() + timedelta(seconds=settings.KEYPORTAL_ACCESS_LIFETIME)
    family.seal = family.make_seal()
    family.save(force_insert=True)
    access_token, claims = sign_access_token(
        subject=f"user:{user.pk}",
        client_id=PORTAL_CLIENT,
        scope=scopes,
        environment="test",
        audience=family.audience,
        epoch=family.epoch,
        family=family.pk,
    )
    record_event(EventType.TOKEN_ISSUED, subject=claims.subject, origin=origin, **about(claims))
    return TokenResponse(access_token=access_token, expires_in=claims.expires_at - claims.issued_at, scope=scopes)


def connect_signals() -> None:
    """End these tokens of a user who signs out in one of their browsers."""
    signed_out.connect(_end_all, sender=User, dispatch_uid="keyportal trial tokens")


def _end_all(*, user: User, origin: Origin, **_: Any) -> None:
    for family in TokenFamily.objects.filter(user=user, agent=AGENT, tokens=None).alive():
        end_family(family=family, reason="signed out", origin=origin)
