"""Log-ins by machines that fail, by password or by a client's secret: what they are told, and what is recorded."""

from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.signals import user_login_failed
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.attempts import AttemptLimit
from accounts.models import AttemptWindow, User
from accounts.services import deactivate_user
from audit.models import Event
from credentials.refusals import RefusedError
from tests.conftest import ORIGIN, PASSWORD, MakeKey, MakeUser
from tests.limits import START, Clock, clock
from tests.oauth_client import basic
from tests.tampering import sql
from tokens.client_failures import record_failed_client
from tokens.password_login import log_in
from vault.secret_format import new_id

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.django_db
CHALLENGE = 'Basic realm="keyportal", charset="UTF-8"'


def request_from(address: str | None = "192.0.2.7", *, user: User | None = None) -> HttpRequest:
    """Return a request, of somebody who is logged in or not."""
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    if address is None:
        del request.META["REMOTE_ADDR"]
    if user is not None:
        request.user = user
    return request


def refusal_of(email: str, password: str = PASSWORD, **where: Any) -> tuple[str, int]:
    """Return the code with which a log-in is refused, and the seconds to wait."""
    with pytest.raises(RefusedError) as caught:
        log_in(request_from(**where), email, password)
    return caught.value.refusal.code, caught.value.refusal.retry_after


def failures() -> list[tuple[str, str, str, str | None]]:
    """Return the events of failed log-ins and clients: who did what to whom, from where."""
    found = Event.objects.filter(verb__in=["login_failed", "client_failed"]).order_by("id")
    return [(event.actor, event.subject_type, event.subject_id, event.address) for event in found]


def test_a_wrong_password_is_on_the_record_of_the_account(developer: User) -> None:
    assert refusal_of(developer.email, "wrong") == ("invalid_login", 0)
    assert refusal_of("NOBODY@example.com", "wrong", address=None) == ("invalid_login", 0)
    assert failures() == [
        ("anonymous", "user", developer.pk, "192.0.2.7"),
        ("anonymous", "user", "unknown", None),
    ]


def test_who_fails_is_unknown_even_if_somebody_is_logged_in(developer: User, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    assert refusal_of(developer.email, "wrong", user=operator) == ("invalid_login", 0)
    record_failed_client(request_from(user=operator), key.pk, "wrong_secret")
    assert [actor for actor, *_ in failures()] == ["anonymous", "anonymous"]


def test_what_listens_to_failed_log_ins_is_given_the_request(developer: User) -> None:
    heard: list[object] = []

    def listen(request: HttpRequest | None, **signal: object) -> None:
        heard.append(request)

    request = request_from()
    user_login_failed.connect(listen)
    try:
        with pytest.raises(RefusedError):
            log_in(request, developer.email, "wrong")
    finally:
        user_login_failed.disconnect(listen)
    assert heard == [request]


def test_the_address_is_written_in_any_case(developer: User) -> None:
    assert log_in(request_from(), " DEV@Example.com ", PASSWORD) == developer
    assert refusal_of("DEV@Example.com", "wrong") == ("invalid_login", 0)
    assert failures()[0][2] == developer.pk


def test_an_account_that_may_not_log_in_is_told_so_only_with_its_password(make_user: MakeUser, clock: Clock) -> None:
    unconfirmed, second, inactive, tampered = (make_user(f"user{n}@example.com", confirmed=n > 0) for n in range(4))
    TOTP.activate(second, generate_totp_secret())
    deactivate_user(user=inactive, origin=ORIGIN)
    sql("UPDATE accounts_user SET is_staff = NOT is_staff WHERE id = %s", tampered.pk)
    for user, code in (
        (unconfirmed, "account_unconfirmed"),
        (second, "mfa_required"),
        (inactive, "invalid_login"),
        (tampered, "invalid_login"),
    ):
        assert refusal_of(user.email) == (code, 0)
        assert refusal_of(user.email, "wrong") == ("invalid_login", 0)
    assert [subject for _, _, subject, _ in failures()].count(unconfirmed.pk) == 1


def test_factors_that_the_portal_did_not_write_let_nobody_in(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    sql("DELETE FROM mfa_authenticator")
    assert refusal_of(developer.email) == ("invalid_login", 0)
    assert failures() == [("anonymous", "user", developer.pk, "192.0.2.7")]


def test_each_limit_says_how_long_to_wait(developer: User, clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_LOGIN_PLACE = "1 per minute"
    assert refusal_of(developer.email, "wrong") == ("invalid_login", 0)
    clock.move_to(START + 20, tick=False)
    code, wait = refusal_of(developer.email)
    assert (code, 40 < wait <= 101) == ("rate_limited", True)
    settings.KEYPORTAL_LIMIT_TOKENS = "1 per hour"
    AttemptWindow.objects.all().delete()
    assert log_in(request_from(), developer.email, PASSWORD) == developer
    code, wait = refusal_of(developer.email)
    assert (code, 3580 <= wait <= 7201) == ("rate_limited", True)


def test_log_ins_of_one_account_use_up_no_other_s(make_user: MakeUser, clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_TOKENS = "1 per hour"
    for number in range(3):
        user = make_user(f"user{number}@example.com")
        assert log_in(request_from(), user.email, PASSWORD) == user


@pytest.mark.parametrize("header", ["Basic !", basic("dev@example.com", "wrong"), basic("x", "")])
def test_the_endpoint_answers_a_failed_log_in_with_its_own_challenge(
    client: Client, developer: User, header: str
) -> None:
    answer: Any = client.post("/api/v1/tokens", content_type="", secure=True, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_login")
    assert answer["WWW-Authenticate"] == CHALLENGE


def test_tries_of_one_client_are_recorded_once_per_address(make_key: MakeKey, clock: Clock) -> None:
    key, other = make_key()[0], make_key()[0]
    for address in ("2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:3::1"):
        for client_id in (key.pk, other.pk, new_id("key"), "x"):
            record_failed_client(request_from(address), client_id, "wrong_secret")
    recorded = [(subject, address) for _, _, subject, address in failures()]
    assert recorded == [
        (subject, address) for address in ("2001:db8:1:2::1", "2001:db8:1:3::1") for subject in (key.pk, other.pk)
    ]
    clock.move_to(START + 700, tick=False)
    record_failed_client(request_from("2001:db8:1:2::1"), key.pk, "paused")
    latest = Event.objects.latest("id")
    assert (latest.verb, latest.subject_id, latest.details) == ("client_failed", key.pk, {"code": "paused"})


def test_the_trail_of_one_client_is_filled_by_no_other(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokens.client_failures.OF_CLIENT", AttemptLimit("events of a test", fixed="1 per 30 years"))
    keys = [make_key()[0].pk for _ in range(2)]
    for address in ("192.0.2.7", "192.0.2.8"):
        for client_id in keys:
            record_failed_client(request_from(address), client_id, "wrong_secret")
    assert [subject for _, _, subject, _ in failures()] == keys


@pytest.mark.parametrize("client_id", ["odd\x00id", "key_" + "é" * 22, "a" * 5000], ids=range(3))
def test_a_text_that_can_be_no_id_never_reaches_the_database(client_id: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        record_failed_client(request_from(), client_id, "wrong_secret")
    assert failures() == []
    assert [query["sql"] for query in queries.captured_queries if client_id in query["sql"]] == []
