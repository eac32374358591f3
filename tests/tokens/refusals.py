"""Why a token is refused for an audience, and what it claims where it is good."""

import pytest

from credentials.refusals import RefusedError
from credentials.verified_cache.freshness import Lookup, get_or_load
from tokens.audiences import AudienceRequest
from tokens.verification import verify
from vault.signing import Claims

RefusedAs = tuple[str, dict[str, str], str]


def refusal(token: str, audience: AudienceRequest, *, lookup: Lookup = get_or_load) -> RefusedAs:
    """Return why a token is refused: the code, what is said about it, and the id under which it is counted."""
    with pytest.raises(RefusedError) as caught:
        verify(token, address=None, audience=audience, lookup=lookup)
    refused = caught.value.refusal
    return refused.code, dict(refused.about), refused.counted_as


UNKNOWN: RefusedAs = ("invalid_token", {}, "")
"""As for a forged one."""


def claims_of(token: str, audience: AudienceRequest) -> Claims:
    """Return the claims of a token that is good for this audience."""
    claims = verify(token, address=None, audience=audience).claims
    assert claims is not None
    return claims
