"""Access tokens of every kind, as the portal signs them: for a log-in, for an account and for a key."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from apikeys.models import APIKey
from apikeys.services.rotation import current_secret
from integrity.rings import signing_ring
from tests.conftest import ORIGIN
from tokens import services
from tokens.models import TokenFamily
from vault.secret_format import new_id
from vault.signing import Claims, sign

ISSUER = "https://portal.test"
Sign = Callable[..., tuple[str, Claims]]


def sign_claims(subject: str, **claims: Any) -> tuple[str, Claims]:
    """Sign a token of this subject, and return it with its claims."""
    now = int(time.time())
    usual = {
        "issuer": ISSUER,
        "subject": subject,
        "audience": ISSUER,
        "client_id": "portal",
        "token_id": new_id("tok"),
        "scope": "reports:read secrets:all unknown",
        "issued_at": now,
        "expires_at": now + 600,
        "environment": "live",
        "epoch": 0,
    }
    signed = Claims(**{**usual, **claims})
    return sign(signing_ring(), signed), signed


def sign_for(holder: User | TokenFamily | APIKey, **claims: Any) -> tuple[str, Claims]:
    """Sign a token of an account, of a log-in or of a key, and return it with its claims."""
    if isinstance(holder, APIKey):
        usual = {"epoch": holder.owner.auth_epoch, "client_id": holder.pk, "secret_id": current_secret(holder).pk}
        return sign_claims(f"key:{holder.pk}", **{**usual, **claims})
    user, family = (holder, None) if isinstance(holder, User) else (holder.user, holder.pk)
    return sign_claims(f"user:{user.pk}", **{"epoch": user.auth_epoch, "family": family, **claims})


@pytest.fixture
def family(developer: User) -> TokenFamily:
    """A log-in of the developer by password."""
    services.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    return TokenFamily.objects.select_related("user").get()
