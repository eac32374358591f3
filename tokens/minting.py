"""Make access tokens: their claims, and what the audit trail keeps of them. Writes nothing."""

import time
from datetime import datetime

from django.conf import settings

from integrity.rings import signing_ring
from vault.secret_format import new_id
from vault.signing import Claims, sign


def sign_access_token(
    *,
    subject: str,
    client_id: str,
    scope: str,
    environment: str,
    audience: str,
    epoch: int,
    family: str | None = None,
    secret_id: str | None = None,
    not_after: datetime | None = None,
) -> tuple[str, Claims]:
    """Sign an access token, valid from now and at most until `not_after`; return it with its claims.

    An empty `audience` means the portal's own.
    """
    now = int(time.time())
    expires_at = now + settings.KEYPORTAL_ACCESS_LIFETIME
    if not_after is not None:
        expires_at = max(now + 1, min(expires_at, int(not_after.timestamp())))
    claims = Claims(
        issuer=settings.KEYPORTAL_URL,
        audience=audience or settings.KEYPORTAL_AUDIENCE,
        subject=subject,
        client_id=client_id,
        token_id=new_id("tok"),
        scope=scope,
        issued_at=now,
        expires_at=expires_at,
        environment=environment,
        epoch=epoch,
        family=family,
        secret_id=secret_id,
    )
    return sign(signing_ring(), claims), claims


def about(claims: Claims) -> dict[str, object]:
    """Return what the audit trail keeps of an access token, so that operators can trace it by its id alone."""
    about = {"token": claims.token_id, "epoch": claims.epoch, "scopes": claims.scope, "expires": claims.expires_at}
    about["audience"] = claims.audience
    came_from = {"family": claims.family, "secret_id": claims.secret_id}
    return about | {name: pk for name, pk in came_from.items() if pk}
