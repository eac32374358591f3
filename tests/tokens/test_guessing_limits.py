"""Every limit on guessing passwords and clients' secrets by machines, reached by requests."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests.conftest import PASSWORD, MakeKey, MakeUser
from tests.limits import START, Clock, clock, is_limited
from tests.oauth_client import FORM
from tests.tokens.attempts import HERE, TOO_MANY, counted_late, elsewhere, send_form, try_password
from vault.secret_format import new_id, new_secret

__all__ = ["clock", "counted_late"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("F"), pytest.mark.sweep]  # many guesses


def test_wrong_passwords_of_an_address(client: Client, clock: Clock) -> None:
    def guess(number: int) -> bool:
        return try_password(client, f"nobody{number}@example.com", "wrong", HERE) != TOO_MANY

    is_limited(guess, amount=30, seconds=300, clock=clock)


def test_wrong_passwords_for_an_account_from_an_address(client: Client, developer: User, clock: Clock) -> None:
    is_limited(
        lambda _: try_password(client, developer.email, "wrong", HERE) != TOO_MANY, amount=10, seconds=300, clock=clock
    )


@pytest.mark.conformance("BA-11")
def test_wrong_passwords_for_an_account_from_everywhere_but_where_it_is_used(
    client: Client, developer: User, clock: Clock
) -> None:
    def guess(number: int) -> bool:
        return try_password(client, developer.email, "wrong", elsewhere(number)) != TOO_MANY

    assert try_password(client, developer.email, PASSWORD, HERE) == 200
    assert [guess(number) for number in range(21)] == [True] * 20 + [False]
    assert try_password(client, developer.email, PASSWORD, elsewhere(400)) == TOO_MANY
    assert try_password(client, developer.email, PASSWORD, HERE) == 200
    clock.move_to(START + 3601, tick=False)
    assert try_password(client, developer.email, PASSWORD, elsewhere(400)) == 200


def test_log_ins_to_an_account(client: Client, developer: User, clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_TOKENS = "15 per hour"
    is_limited(
        lambda _: try_password(client, developer.email, PASSWORD, HERE) == 200, amount=15, seconds=3600, clock=clock
    )


def test_a_right_password_uses_no_guess_up(client: Client, make_user: MakeUser, clock: Clock) -> None:
    for number in range(4):
        email = make_user(f"right{number}@example.com").email
        assert [try_password(client, email, PASSWORD, HERE) for _ in range(11)] == [200] * 11
    assert try_password(client, "nobody@example.com", "wrong", HERE) == 401


def test_wrong_secrets_for_a_client_from_an_address(client: Client, make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    wrong = new_secret("kp", "live")

    def guess(_: int) -> bool:
        return send_form(client, "/oauth/token", "grant_type=client_credentials", key.pk, wrong) != TOO_MANY

    is_limited(guess, amount=20, seconds=300, clock=clock)
    for _ in range(20):
        guess(0)
    assert send_form(client, "/oauth/token", "grant_type=client_credentials", key.pk, secret) == TOO_MANY
    assert send_form(client, "/oauth/token", "grant_type=client_credentials", key.pk, secret, elsewhere(1)) == 200


@pytest.mark.finding("H13")
def test_of_many_wrong_secrets_at_once_no_more_than_the_limit_are_told(
    client: Client, make_key: MakeKey, clock: Clock, counted_late: None
) -> None:
    key, _ = make_key()
    body = "grant_type=client_credentials"
    statuses = [send_form(client, "/oauth/token", body, key.pk, "wrong") for _ in range(25)]
    assert statuses == [401] * 20 + [TOO_MANY] * 5


def test_wrong_secrets_for_many_clients_from_an_address(client: Client, clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_CLIENT_ADDRESS = "40 per 5 minutes"

    def guess(_: int) -> bool:
        return send_form(client, "/oauth/token", "grant_type=client_credentials", new_id("key"), "wrong") != TOO_MANY

    is_limited(guess, amount=40, seconds=300, clock=clock)


def test_wrong_secrets_of_one_customer_with_many_ipv6_addresses(
    client: Client, make_key: MakeKey, clock: Clock
) -> None:
    key, _ = make_key()
    body = "grant_type=client_credentials"
    statuses = [send_form(client, "/oauth/token", body, key.pk, "wrong", f"2001:db8:1:2::{n}") for n in range(21)]
    assert statuses == [401] * 20 + [TOO_MANY]
    assert send_form(client, "/oauth/token", body, key.pk, "wrong", "2001:db8:1:3::1") == 401


def test_right_secrets_are_no_guesses(client: Client, make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    statuses = {send_form(client, "/oauth/token", "grant_type=client_credentials", key.pk, secret) for _ in range(25)}
    assert statuses == {200}


@pytest.fixture
def few_revocations(settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_REVOCATIONS = "30 per minute"


@pytest.mark.usefixtures("few_revocations")
def test_revocations_of_a_client(client: Client, make_key: MakeKey, clock: Clock) -> None:
    key, secret = make_key()
    is_limited(
        lambda _: send_form(client, "/oauth/revoke", "token=x", key.pk, secret) != TOO_MANY,
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
