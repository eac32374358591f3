"""The signed identity that a gateway passes on to the service behind it: the header `X-Keyportal-Assertion`.

It is signed for a credential and an audience, and not for each request: the same one is given out until it has half a
minute left.
"""

import time
from functools import lru_cache
from typing import Final

from django.conf import settings

from credentials.credential import Credential
from integrity.rings import signing_ring
from vault.assertions import Identity, assertion_key, sign_assertion
from vault.errors import RingError

LIFETIME: Final = 60
"""Seconds."""
RENEWED_EVERY: Final = 30
"""Seconds. What is given out has as many left at least, unless the credential ends before."""


def can_assert() -> bool:
    """Return whether the signing ring has a key pair. With a symmetric key, a service could sign as the portal."""
    return assertion_key(signing_ring()) is not None


def assertion_for(credential: Credential, audience: str) -> str:
    """Return an assertion of who holds a credential that is good now. Raises `RingError` unless `can_assert`."""
    return _signed(credential, audience, int(time.time()) // RENEWED_EVERY)


@lru_cache(maxsize=4096)
def _signed(credential: Credential, audience: str, period: int) -> str:
    key = assertion_key(signing_ring())
    if key is None:
        raise RingError("the signing ring has no key pair")
    now = int(time.time())
    ends = [now + LIFETIME, *([int(credential.expires_at.timestamp())] if credential.expires_at else [])]
    is_key = credential.kind == "api_key" or credential.key_id
    identity = Identity(
        issuer=settings.KEYPORTAL_URL,
        audience=audience,
        subject=f"key:{credential.key_id}" if is_key else f"user:{credential.owner_id}",
        owner=credential.owner_id,
        client_id=credential.client_id,
        kind=credential.kind,
        scope=" ".join(sorted(credential.scopes)),
        environment=credential.environment,
        issued_at=now,
        expires_at=max(now + 1, min(ends)),
    )
    return sign_assertion(key, identity)
