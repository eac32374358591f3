"""Every limit on guessing for machines, reached by requests: without one of them one of these tests fails."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.attempts import AttemptLimit
from accounts.models import User
from apikeys import services
from gateway.forward_auth import PATH, ForwardAuthRequest, decide
from tests.conftest import ORIGIN, PASSWORD, MakeKey, MakeUser
from tests.limits import START, Clock, clock, is_limited
from tests.oauth_client import FORM, basic
from vault.secret_format import new_id, new_secret

__all__ = ["clock"]  # a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.finding("F")]
TOO_MANY = 429
HERE = "203.0.113.7"


def elsewhere(number: int) -> str:
    """An address that nobody has seen."""
    return f"198.51.{number // 250}.{number % 250 + 1}"


def password(client: Client, email: str, password: str, address: str) -> int:
    """Ask for tokens with a password, and return the status."""
    head = {"Authorization": basic(email, password)}
    answer = client.post(
        "/api/v1/tokens", content_type="application/json", secure=True, headers=head, REMOTE_ADDR=address
    )
    return answer.status_code


def form(client: Client, path: str, body: str, user: str, secret: str, address: str = HERE) -> int:
    """Send a form as an OAuth client, and return the status."""
    head = {"Authorization": basic(user, secret)}
    return client.post(path, body, FORM, secure=True, headers=head, REMOTE_ADDR=address).status_code


def test_wrong_passwords_of_an_address(client: Client, clock: Clock) -> None:
    def guess(number: int) -> bool:
        return password(client, f"nobody{number}@example.com", "wrong", HERE) != TOO_MANY

    is_limited(guess, amount=30, seconds=300, clock=clock)


def test_wrong_passwords_for_an_account_from_an_address(client: Client, developer: User, clock: Clock) -> None:
    is_limited(
        lambda _: password(client, developer.email, "wrong", HERE) != TOO_MANY, amount=10, seconds=300, clock=clock
    )


@pytest.mark.conformance("BA-11")
def test_wrong_passwords_for_an_account_from_everywhere_but_where_it_is_used(
    client: Client, developer: User, clock: Clock
) -> None:
    def guess(number: int) -> bool:
        return password(client, developer.email, "wrong", elsewhere(number)) != TOO_MANY

    assert password(client, developer.email, PASSWORD, HERE) == 200
    assert [guess(number) for number in range(21)] == [True] * 20 + [False]
    assert password(client, developer.email, PASSWORD, elsewhere(400)) == TOO_MANY
    assert password(client, developer.email, PASSWORD, HERE) == 200
    clock.move_to(START + 3601, tick=False)
    assert password(client, developer.email, PASSWORD, elsewhere(400)) == 200


def test_log_ins_to_an_account(client: Client, developer: User, clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_TOKENS = "15 per hour"
    is_limited(lambda _: password(client, developer.email, PASSWORD, HERE) == 200, amount=15, seconds=3600, clock=clock)


def test_a_right_password_uses_no_guess_up(client: Client, make_user: MakeUser, clock: Clock) -> None:
    for number in range(4):
        email = make_user(f"right{number}@example.com").email
        assert [password(client, email, PASSWORD, HERE) for _ in range(11)] == [200] * 11
    assert password(client, "nobody@example.com", "wrong", HERE) == 401


def test_wrong_secrets_for_a_client_from_an_address(client: Client, make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    wrong = new_secret("kp", "live")

    def guess(_: int) -> bool:
        return form(client, "/oauth/token", "grant_type=client_credentials", key.pk, wrong) != TOO_MANY

    is_limited(guess, amount=20, seconds=300, clock=clock)
    for _ in range(20):
        guess(0)
    assert form(client, "/oauth/token", "grant_type=client_credentials", key.pk, secret) == TOO_MANY
    assert form(client, "/oauth/token", "grant_type=client_credentials", key.pk, secret, elsewhere(1)) == 200


@pytest.fixture
def looked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many requests at once: each has looked whether it is within the limit before the first was counted."""
    monkeypatch.setattr(AttemptLimit, "retry_after", lambda _limit, _key: 0)


@pytest.mark.finding("H13")
def test_of_many_wrong_secrets_at_once_no_more_than_the_limit_are_told(
    client: Client, make_key: MakeKey, clock: Clock, looked_before: None
) -> None:
    key, _ = make_key()
    body = "grant_type=client_credentials"
    statuses = [form(client, "/oauth/token", body, key.pk, "wrong") for _ in range(25)]
    assert statuses == [401] * 20 + [TOO_MANY] * 5


def test_wrong_secrets_for_many_clients_from_an_address(client: Client, clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_CLIENT_ADDRESS = "40 per 5 minutes"

    def guess(_: int) -> bool:
        return form(client, "/oauth/token", "grant_type=client_credentials", new_id("key"), "wrong") != TOO_MANY

    is_limited(guess, amount=40, seconds=300, clock=clock)


def test_wrong_secrets_of_one_customer_with_many_ipv6_addresses(
    client: Client, make_key: MakeKey, clock: Clock
) -> None:
    key, _ = make_key()
    body = "grant_type=client_credentials"
    statuses = [form(client, "/oauth/token", body, key.pk, "wrong", f"2001:db8:1:2::{n}") for n in range(21)]
    assert statuses == [401] * 20 + [TOO_MANY]
    assert form(client, "/oauth/token", body, key.pk, "wrong", "2001:db8:1:3::1") == 401


def test_right_secrets_are_no_guesses(client: Client, make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    statuses = {form(client, "/oauth/token", "grant_type=client_credentials", key.pk, secret) for _ in range(25)}
    assert statuses == {200}


@pytest.fixture
def few_revocations(settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_REVOCATIONS = "30 per minute"


@pytest.mark.usefixtures("few_revocations")
def test_revocations_of_a_client(client: Client, make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    is_limited(
        lambda _: form(client, "/oauth/revoke", "token=x", key.pk, secret) != TOO_MANY,
        amount=30,
        seconds=60,
        clock=clock,
    )


@pytest.mark.usefixtures("few_revocations")
def test_revocations_of_an_address_by_the_public_client(client: Client, clock: Clock) -> None:
    def revoke(address: str) -> bool:
        answer = client.post("/oauth/revoke", "token=x&client_id=portal", FORM, secure=True, REMOTE_ADDR=address)
        return answer.status_code != TOO_MANY

    assert [revoke(HERE) for _ in range(31)] == [True] * 30 + [False]
    assert revoke(elsewhere(1))
    clock.move_to(START + 122, tick=False)
    assert revoke(HERE)


Ask = Callable[[str], Any]


@pytest.fixture(params=["introspection", "verify"])
def ask(request: pytest.FixtureRequest, client: Client, make_key: MakeKey) -> Ask:
    """Ask about a text as a service may; gives the status, and what was said."""
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
def test_a_service_that_asks_about_what_nobody_has_is_stopped_and_its_clients_are_not(
    ask: Ask, make_key: MakeKey, clock: Clock
) -> None:
    _, good = make_key()

    def scan(_: int) -> bool:
        return bool(ask(new_secret("kp", "live")).status_code != TOO_MANY)

    is_limited(scan, amount=20, seconds=60, clock=clock)
    for number in range(20):
        scan(number)
    assert ask(new_secret("kp", "live")).status_code == TOO_MANY
    assert ask(good).status_code == 200, "a stranger's guesses must not shut out the clients of a service"


@pytest.mark.finding("H13")
@pytest.mark.usefixtures("few_misses", "looked_before")
def test_of_many_unknown_ones_at_once_no_more_than_the_limit_are_told(ask: Ask, clock: Clock) -> None:
    statuses = [ask(new_secret("kp", "live")).status_code for _ in range(25)]
    assert statuses == [200] * 20 + [TOO_MANY] * 5


@pytest.mark.usefixtures("few_misses")
def test_a_service_that_asks_about_good_ones_is_not_stopped(ask: Ask, make_key: MakeKey, clock: Clock) -> None:
    _, shown = make_key()
    assert {ask(shown).status_code for _ in range(25)} == {200}


def test_only_a_service_with_the_scope_may_ask_about_credentials(client: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    assert form(client, "/oauth/introspect", f"token={secret}", key.pk, secret) == 403
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
