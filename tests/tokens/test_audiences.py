"""For whom a token is good: the service that it is for, and no other; the portal's own entry points take their own."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIRequestFactory

from apikeys import services as keys
from credentials.refusals import RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.freshness import Lookup, get_or_load
from gateway.forward_auth import PATH, ForwardAuthRequest, decide
from gateway.verdict import verdict
from tests.conftest import ORIGIN, MakeKey
from tests.tokens.audiences import ORDERS, REPORTS, Swap, code_of, orders, reports, swap
from tests.tokens.test_endpoints import basic, bearer, log_in_for_tokens, post_form
from tests.typos import with_another_end
from tokens import services
from tokens.audiences import ANY, AudienceRequest
from tokens.authentication import AccessTokenAuthentication
from tokens.models import Audience, RevokedToken, TokenFamily
from tokens.search import search
from tokens.verification import verify
from vault.signing import Claims

__all__ = ["log_in_for_tokens", "orders", "reports", "swap"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H39"), pytest.mark.usefixtures("reports", "orders")]
Refused = tuple[str, dict[str, str], str]
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


def refusal(token: str, audience: AudienceRequest, *, lookup: Lookup = get_or_load) -> Refused:
    """Return why a token is refused: the code, what is told about it, and under which id it is counted."""
    with pytest.raises(RefusedError) as caught:
        verify(token, address=None, audience=audience, lookup=lookup)
    refused = caught.value.refusal
    return refused.code, dict(refused.about), refused.counted_as


UNKNOWN: Refused = ("invalid_token", {}, "")
"""As for a forged one."""


def memory() -> Lookup:
    """Return a memory that is always current."""
    cache = VerifiedCache()
    return lambda key, ask: cache.get_or_load(cache.generation, key, ask)


def claims_of(token: str, audience: AudienceRequest) -> Claims:
    claims = verify(token, address=None, audience=audience).claims
    assert claims is not None
    return claims


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
    get_cached = memory()
    with django_assert_num_queries(1):
        verify(token, address=None, audience=first, lookup=get_cached)
    with django_assert_num_queries(0):
        for other in OTHERS:
            assert refusal(token, other, lookup=get_cached) == UNKNOWN
        assert verify(token, address=None, audience=REPORTS, lookup=get_cached)


def test_who_asks_first_for_another_service_keeps_nobody_else_out(swap: Swap, django_assert_num_queries: Any) -> None:
    _, _, token = swap()
    get_cached = memory()
    with django_assert_num_queries(0):  # nobody has to ask about what is not for them
        for other in OTHERS:
            assert refusal(token, other, lookup=get_cached) == UNKNOWN
    assert verify(token, address=None, audience=REPORTS, lookup=get_cached)


def test_another_s_token_is_unknown_in_whatever_state_it_is(swap: Swap) -> None:
    key, _, token = swap()
    get_cached = memory()
    verify(token, address=None, audience=REPORTS, lookup=get_cached)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        for lookup in (get_or_load, get_cached):
            assert refusal(token, None, lookup=lookup) == UNKNOWN
            assert refusal(token, REPORTS, lookup=lookup)[0] == "expired"
    keys.revoke(key=key, reason="", origin=ORIGIN)
    assert refusal(token, REPORTS)[0] == "revoked"
    assert refusal(token, None) == UNKNOWN


def test_the_portal_s_own_entry_points_take_their_own(
    client: Client, swap: Swap, make_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    _, service = make_key(scopes=["credentials:verify"], restricted=True)
    _, _, token = swap(scopes=["credentials:verify"], restricted=True)
    _, _, own = swap(None, scopes=["credentials:verify"], restricted=True)
    forged = with_another_end(own)

    def answers(credential: str) -> tuple[object, ...]:
        body = json.dumps({"credential": credential})
        me = client.get("/api/v1/me", secure=True, headers=bearer(credential))
        asked = [
            client.post("/api/v1/verify", body, "application/json", secure=True, headers=bearer(caller))
            for caller in (service, credential)
        ]
        gate = decide(ForwardAuthRequest(f"Bearer {credential}", "", path=PATH, address=None))
        return [(one.status_code, one.content, one.get("WWW-Authenticate")) for one in (me, *asked)], gate

    assert [status for status, *_ in answers(own)[0]] == [200, 200, 200]  # type: ignore[attr-defined]
    with caplog.at_level(logging.INFO):
        assert answers(token) == answers(forged)
    assert code_of(client, token) == "invalid_token"
    assert token not in caplog.text
    assert REPORTS not in caplog.text


def test_a_key_has_no_audience_and_is_good_for_every_service(swap: Swap) -> None:
    _, secret, token = swap()
    for asked in (*OTHERS, REPORTS, ANY):
        assert verdict(secret, address=None, audience=asked).credential.kind == "api_key"
    assert verdict(token, address=None, audience=REPORTS).credential.kind == "access_token"
    with pytest.raises(RefusedError):
        verdict(token, address=None)


def test_memory_alone_says_no_more_of_another_s_token_than_of_an_unknown_one(swap: Swap) -> None:
    """Whoever asks about unknown ones is counted in the database, where the event loop can't wait."""
    _, _, token = swap()
    get_cached = memory()
    verify(token, address=None, audience=REPORTS, lookup=get_cached)
    for other in OTHERS:
        with pytest.raises(WouldBlockError):
            verdict(token, address=None, audience=other, lookup=get_cached)
    assert verdict(token, address=None, audience=REPORTS, lookup=get_cached)
    with pytest.raises(RefusedError, match="insufficient_scope"):
        verdict(token, address=None, audience=REPORTS, scopes=["reports:more"], lookup=get_cached)


def test_a_service_of_another_name_says_so_in_a_class_of_its_own(swap: Swap) -> None:
    class ReportsAuthentication(AccessTokenAuthentication):
        audience = REPORTS

    _, _, token = swap()
    request: Any = APIRequestFactory().get("/", headers=bearer(token))
    request._request = request
    found = ReportsAuthentication().authenticate(request)
    assert found is not None
    assert found[1].kind == "access_token"


@pytest.mark.parametrize("way", ["revoke", "delete"])
def test_a_token_is_ended_whomever_it_is_for(
    client: Client, swap: Swap, log_in_for_tokens: Callable[..., dict[str, Any]], way: str
) -> None:
    key, secret, token = swap()
    pair = log_in_for_tokens(resource=REPORTS)
    if way == "revoke":
        other, other_secret, _ = swap()
        refused = post_form(client, "/oauth/revoke", {"token": token}, **basic(other.pk, other_secret))
        assert refused[1]["error"] == "invalid_grant"
        assert verify(token, address=None, audience=REPORTS)
        assert post_form(client, "/oauth/revoke", {"token": token}, **basic(key.pk, secret)) == (200, {})
        public = {"token": pair["access_token"], "client_id": "portal"}
        assert post_form(client, "/oauth/revoke", public) == (200, {})
    else:
        for credential in (token, pair["access_token"]):
            assert client.delete("/api/v1/tokens", secure=True, headers=bearer(credential)).status_code == 204
    for ended in (token, pair["access_token"]):
        assert refusal(ended, REPORTS)[0] == "revoked"
    assert TokenFamily.objects.get().ended_at
    assert RevokedToken.objects.count() == 2
    assert client.delete("/api/v1/tokens", secure=True, headers=bearer(with_another_end(token))).status_code == 401
    assert client.delete("/api/v1/tokens", secure=True, headers=bearer(token)).status_code == 401


def test_introspection_says_whom_a_token_is_for(client: Client, swap: Swap, make_key: MakeKey) -> None:
    service, service_secret = make_key(scopes=["credentials:verify"], restricted=True)
    _, secret, token = swap()
    _, _, own = swap(None)

    def ask(credential: str, **named: str) -> dict[str, Any]:
        form = {"token": credential, **named}
        return post_form(client, "/oauth/introspect", form, **basic(service.pk, service_secret))[1]

    for _ in range(2):  # remembered, too
        assert ask(token, audience=REPORTS)["aud"] == REPORTS
        assert ask(own)["aud"] == ask(own, audience="https://portal.test")["aud"] == "https://portal.test"
        foreign = [ask(token), ask(token, audience=ORDERS), ask(own, audience=REPORTS)]
        assert foreign == [{"active": False}] * 3
        for named in ({}, {"audience": REPORTS}):
            told = ask(secret, **named)
            assert (told["active"], "aud" in told) == (True, False)  # a key is good for every service


def test_a_refresh_token_is_for_the_portal_alone(
    client: Client, make_key: MakeKey, log_in_for_tokens: Callable[..., dict[str, Any]]
) -> None:
    service, secret = make_key(scopes=["credentials:verify"], restricted=True)
    token = log_in_for_tokens(resource=REPORTS)["refresh_token"]

    def is_active(**named: str) -> bool:
        form = {"token": token, **named}
        return bool(post_form(client, "/oauth/introspect", form, **basic(service.pk, secret))[1]["active"])

    assert [is_active(), is_active(audience="https://portal.test")] == [True, True]
    assert [is_active(audience=REPORTS), is_active(audience=ORDERS)] == [False, False]


@pytest.mark.finding("H34")
def test_a_token_for_another_service_is_no_guess(
    client: Client, swap: Swap, make_key: MakeKey, settings: Settings
) -> None:
    settings.KEYPORTAL_LIMIT_MISSES = "2 per hour"
    service, secret = make_key(scopes=["credentials:verify"], restricted=True)
    _, _, token = swap()
    for _ in range(5):
        body = json.dumps({"credential": token})
        head = bearer(secret)
        answer = client.post("/api/v1/verify", body, "application/json", secure=True, headers=head)
        assert (answer.status_code, answer.json()["code"]) == (200, "invalid_token")
        told = post_form(client, "/oauth/introspect", {"token": token}, **basic(service.pk, secret))
        assert told == (200, {"active": False})


def test_a_token_for_an_audience_that_was_removed_lives_on_until_its_end(swap: Swap) -> None:
    _, _, token = swap()
    services.remove_audience(audience=Audience.objects.get(uri=REPORTS), origin=ORIGIN)
    assert verify(token, address=None, audience=REPORTS)


def test_a_search_says_whom_a_token_is_for(
    swap: Swap, log_in_for_tokens: Callable[..., dict[str, Any]], make_key: MakeKey
) -> None:
    _, _, token = swap()
    pair = log_in_for_tokens(resource=REPORTS)
    by_id = claims_of(token, ANY).token_id
    for text in (token, by_id, pair["access_token"], pair["refresh_token"], TokenFamily.objects.get().pk):
        (found,) = search(text, origin=ORIGIN).findings
        assert any(REPORTS in fact.text for fact in found.facts), text
        assert found.state.code == "good"
