"""Issue a token with which a developer tries calls on the pages of the API reference."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.scopes.models import Scope
from integrity.key_check import confirm_rings_once
from tokens import audiences
from tokens.minting import about, sign_access_token
from tokens.models import TokenFamily
from tokens.services.tokens import PORTAL_CLIENT, TokenResponse

AGENT = "API reference"


@transaction.atomic
def issue_to_try(*, user: User, origin: Origin) -> TokenResponse:
    """Return an access token for the test environment, with all scopes that developers can take; it can't be renewed.

    So no secret is pasted into a page, and calls that are tried change test keys only.
    """
    confirm_rings_once()
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
