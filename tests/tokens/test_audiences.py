"""For whom a token is good: the service that it is for, and no other, from the database and from the cache."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIRequestFactory

from apikeys import services as keys
from credentials.refusals import RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.freshness import Lookup, get_or_load
from gateway.verification import verify_any
from tests.conftest import ORIGIN
from tests.tokens.audiences import ORDERS, REPORTS, Swap, orders, reports, swap
from tests.tokens.endpoints import bearer
from tests.tokens.refusals import UNKNOWN, claims_of, refusal
from tokens import services
from tokens.audiences import ANY, AudienceRequest
from tokens.authentication import AccessTokenAuthentication
from tokens.models import Audience
from tokens.verification import verify

__all__ = ["orders", "reports", "swap"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H39"), pytest.mark.usefixtures("reports", "orders")]
OTHERS: tuple[AudienceRequest, ...] = (
    None,
    "https://portal.test",
    ORDERS,
    f"{REPORTS}/",
    "HTTPS://reports.test",
    "",
    "any",
    "*",
)
"""What a token for `REPORTS` is not for."""


def cached_lookup() -> Lookup:
    """Return a lookup in a cache that is always current."""
    cache = VerifiedCache()
    return lambda digest, load: cache.get_or_load(cache.generation, digest, load)


def test_a_token_is_good_for_the_service_that_it_is_for(swap: Swap) -> None:
    _, _, token = swap()
    for one in (REPORTS, ANY):
        assert claims_of(token, one).audience == REPORTS
    for other in OTHERS:
        assert refusal(token, other) == UNKNOWN
    _, _, own = swap(None)
    for asked in (None, "https://portal.test", ANY):
        assert claims_of(own, asked).audience == "https://portal.test"
    assert refusal(own, REPORTS) == UNKNOWN


@pytest.mark.parametrize("first", [REPORTS, ANY])
def test_what_is_remembered_of_a_token_makes_it_good_for_nobody_else(
    swap: Swap, first: AudienceRequest, django_assert_num_queries: Any
) -> None:
    _, _, token = swap()
    lookup = cached_lookup()
    with django_assert_num_queries(1):
        verify(token, address=None, audience=first, lookup=lookup)
    with django_assert_num_queries(0):
        for other in OTHERS:
            assert refusal(token, other, lookup=lookup) == UNKNOWN
        assert verify(token, address=None, audience=REPORTS, lookup=lookup)


def test_a_refusal_for_another_service_is_not_cached(swap: Swap, django_assert_num_queries: Any) -> None:
    _, _, token = swap()
    lookup = cached_lookup()
    with django_assert_num_queries(0):  # nobody has to ask about what is not for them
        for other in OTHERS:
            assert refusal(token, other, lookup=lookup) == UNKNOWN
    assert verify(token, address=None, audience=REPORTS, lookup=lookup)


def test_another_s_token_is_unknown_in_whatever_state_it_is(swap: Swap) -> None:
    key, _, token = swap()
    lookup = cached_lookup()
    verify(token, address=None, audience=REPORTS, lookup=lookup)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        for one in (get_or_load, lookup):
            assert refusal(token, None, lookup=one) == UNKNOWN
            assert refusal(token, REPORTS, lookup=one)[0] == "expired"
    keys.revoke(key=key, reason="", origin=ORIGIN)
    assert refusal(token, REPORTS)[0] == "revoked"
    assert refusal(token, None) == UNKNOWN


def test_a_key_has_no_audience_and_is_good_for_every_service(swap: Swap) -> None:
    _, secret, token = swap()
    for asked in (*OTHERS, REPORTS, ANY):
        assert verify_any(secret, address=None, audience=asked).credential.kind == "api_key"
    assert verify_any(token, address=None, audience=REPORTS).credential.kind == "access_token"
    with pytest.raises(RefusedError):
        verify_any(token, address=None)


def test_memory_alone_says_no_more_of_another_s_token_than_of_an_unknown_one(swap: Swap) -> None:
    """Questions about unknown tokens are counted in the database, where the event loop can't wait."""
    _, _, token = swap()
    lookup = cached_lookup()
    verify(token, address=None, audience=REPORTS, lookup=lookup)
    for other in OTHERS:
        with pytest.raises(WouldBlockError):
            verify_any(token, address=None, audience=other, lookup=lookup)
    assert verify_any(token, address=None, audience=REPORTS, lookup=lookup)
    with pytest.raises(RefusedError, match="insufficient_scope"):
        verify_any(token, address=None, audience=REPORTS, scopes=["reports:more"], lookup=lookup)


def test_a_service_of_another_name_says_so_in_a_class_of_its_own(swap: Swap) -> None:
    class ReportsAuthentication(AccessTokenAuthentication):
        audience = REPORTS

    _, _, token = swap()
    request: Any = APIRequestFactory().get("/", headers=bearer(token))
    request._request = request
    found = ReportsAuthentication().authenticate(request)
    assert found is not None
    assert found[1].kind == "access_token"


def test_a_token_for_an_audience_that_was_removed_lives_on_until_its_end(swap: Swap) -> None:
    _, _, token = swap()
    services.remove_audience(audience=Audience.objects.get(uri=REPORTS), origin=ORIGIN)
    assert verify(token, address=None, audience=REPORTS)
