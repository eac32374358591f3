"""Limits for services that ask about credentials, and the rate limit of a key at each entry point."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from apikeys import services
from gateway.forward_auth import PATH, ForwardAuthRequest, decide
from tests.conftest import ORIGIN, MakeKey
from tests.limits import Clock, clock, is_limited
from tests.oauth_client import FORM, basic
from tests.tokens.attempts import TOO_MANY, counted_late, send_form
from vault.secret_format import new_secret

__all__ = ["clock", "counted_late"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("F")]
Ask = Callable[[str], Any]


@pytest.fixture(params=["introspection", "verify"])
def ask(request: pytest.FixtureRequest, client: Client, make_key: MakeKey) -> Ask:
    """Ask about a text as a service may, and return the answer."""
    key, secret = make_key(scopes=["credentials:verify"], restricted=True)

    def by_introspection(text: str) -> Any:
        head = {"Authorization": basic(key.pk, secret)}
        return client.post("/oauth/introspect", f"token={text}", FORM, secure=True, headers=head)

    def by_verify(text: str) -> Any:
        head = {"Authorization": f"Bearer {secret}"}
        body = json.dumps({"credential": text})
        return client.post("/api/v1/verify", body, "application/json", secure=True, headers=head)

    return by_introspection if request.param == "introspection" else by_verify


@pytest.fixture
def few_misses(settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_MISSES = "20 per minute"


@pytest.mark.finding("H34")
@pytest.mark.usefixtures("few_misses")
def test_a_service_that_scans_is_stopped_and_its_clients_are_not(ask: Ask, make_key: MakeKey, clock: Clock) -> None:
    _, good = make_key()

    def scan(_: int) -> bool:
        return bool(ask(new_secret("kp", "live")).status_code != TOO_MANY)

    is_limited(scan, amount=20, seconds=60, clock=clock)
    for number in range(20):
        scan(number)
    assert ask(new_secret("kp", "live")).status_code == TOO_MANY
    assert ask(good).status_code == 200, "a stranger's guesses must not shut out the clients of a service"


@pytest.mark.finding("H13")
@pytest.mark.usefixtures("few_misses", "counted_late")
def test_of_many_unknown_ones_at_once_no_more_than_the_limit_are_told(ask: Ask, clock: Clock) -> None:
    statuses = [ask(new_secret("kp", "live")).status_code for _ in range(25)]
    assert statuses == [200] * 20 + [TOO_MANY] * 5


@pytest.mark.usefixtures("few_misses")
def test_a_service_that_asks_about_good_ones_is_not_stopped(ask: Ask, make_key: MakeKey, clock: Clock) -> None:
    _, shown = make_key()
    assert {ask(shown).status_code for _ in range(25)} == {200}


def test_only_a_service_with_the_scope_may_ask_about_credentials(client: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    assert send_form(client, "/oauth/introspect", f"token={secret}", key.pk, secret) == 403
    body, head = json.dumps({"credential": secret}), {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/v1/verify", body, "application/json", secure=True, headers=head).status_code == 403


ENTRY_POINTS = ["view", "view with a token", "gateway", "gateway with a token", "token endpoint", "verify"]


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_the_limit_of_a_key_holds_at_each_endpoint_and_for_its_tokens(
    client: Client, make_key: MakeKey, entry_point: str
) -> None:
    key, secret = make_key()
    head, grant = {"Authorization": basic(key.pk, secret)}, "grant_type=client_credentials"
    _, asker = make_key(scopes=["credentials:verify"], restricted=True)

    def swap() -> Any:
        return client.post("/oauth/token", grant, FORM, secure=True, headers=head)

    credential = swap().json()["access_token"] if "token" in entry_point and entry_point != "token endpoint" else secret
    services.set_rate_limit(key=key, limit="2/hour", origin=ORIGIN)

    def is_let_in() -> bool:
        if "gateway" in entry_point:
            return decide(ForwardAuthRequest(f"Bearer {credential}", "", path=PATH, address=None))[0] == 200
        if entry_point == "token endpoint":
            return bool(swap().status_code == 200)
        if entry_point == "verify":
            body, bearer = json.dumps({"credential": credential}), {"Authorization": f"Bearer {asker}"}
            answer = client.post("/api/v1/verify", body, "application/json", secure=True, headers=bearer)
            return bool(answer.json()["valid"])
        bearer = {"Authorization": f"Bearer {credential}"}
        return bool(client.get("/api/v1/me", secure=True, headers=bearer).status_code == 200)

    assert [is_let_in() for _ in range(3)] == [True, True, False]
    assert client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"}).status_code == TOO_MANY
