"""Tokens for another service at the portal's own entry points: not taken, ended all the same, and no guess."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from gateway.forward_auth import PATH, ForwardAuthRequest, decide
from tests.conftest import ORIGIN, MakeKey
from tests.tokens.audiences import ORDERS, REPORTS, Swap, code_of, orders, reports, swap
from tests.tokens.endpoints import basic, bearer, log_in_for_tokens, post_form
from tests.tokens.refusals import claims_of, refusal
from tests.typos import with_another_end
from tokens.audiences import ANY
from tokens.models import RevokedToken, TokenFamily
from tokens.search import search
from tokens.verification import verify

__all__ = ["log_in_for_tokens", "orders", "reports", "swap"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H39"), pytest.mark.usefixtures("reports", "orders")]


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

    for _ in range(2):  # from the cache, too
        assert ask(token, audience=REPORTS)["aud"] == REPORTS
        assert ask(own)["aud"] == ask(own, audience="https://portal.test")["aud"] == "https://portal.test"
        foreign = [ask(token), ask(token, audience=ORDERS), ask(own, audience=REPORTS)]
        assert foreign == [{"active": False}] * 3
        for named in ({}, {"audience": REPORTS}):
            answer = ask(secret, **named)
            assert (answer["active"], "aud" in answer) == (True, False)  # a key is good for every service


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
        introspected = post_form(client, "/oauth/introspect", {"token": token}, **basic(service.pk, secret))
        assert introspected == (200, {"active": False})


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
