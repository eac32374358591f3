"""Limits on guessing codes of a second factor, and on log-ins by passkey."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from tests.accounts.attempts import EMAIL, START, browser_at, in_one_window, is_stopped_with, try_password
from tests.accounts.authenticator_app import code_of
from tests.accounts.mailbox import get, post
from tests.conftest import PASSWORD, LogIn

__all__ = ["in_one_window"]

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.finding("H13"),
    pytest.mark.usefixtures("in_one_window"),
    pytest.mark.sweep,  # many guesses
]


def test_wrong_codes_end_in_429_and_are_on_the_record(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    client = Client()
    try_password(client, password=PASSWORD)
    for _ in range(10):
        assert post(client, "/accounts/2fa/authenticate/", code="000000").status_code == 200
    assert is_stopped_with(post(client, "/accounts/2fa/authenticate/", code="000000"), "wrong codes")
    failures = Event.objects.filter(verb="second_factor_failed", subject_id=developer.pk)
    assert failures.count() == 10


def test_wrong_codes_from_everywhere_delay_only_new_places(developer: User, log_in: LogIn) -> None:
    known = browser_at(250)
    post(known, "/accounts/login/", login=EMAIL, password=PASSWORD)
    TOTP.activate(User.objects.get(), generate_totp_secret())
    for number in range(20):
        client = browser_at(number)
        post(client, "/accounts/login/", login=EMAIL, password=PASSWORD)
        assert post(client, "/accounts/2fa/authenticate/", code="000000").status_code == 200
    late = browser_at(99)
    post(late, "/accounts/login/", login=EMAIL, password=PASSWORD)
    assert is_stopped_with(post(late, "/accounts/2fa/authenticate/", code="000000"), "guessing codes")
    post(known, "/accounts/logout/")
    post(known, "/accounts/login/", login=EMAIL, password=PASSWORD)
    assert post(known, "/accounts/2fa/authenticate/", code="000000").status_code == 200


@pytest.mark.finding("H31")
def test_a_wrong_code_for_a_fresh_log_in_is_limited_and_on_the_record(developer: User, log_in: LogIn) -> None:
    client = log_in(developer)
    TOTP.activate(developer, generate_totp_secret())
    for _ in range(10):
        assert post(client, "/accounts/2fa/reauthenticate/", code="000000").status_code == 200
    assert post(client, "/accounts/2fa/reauthenticate/", code="000000").status_code == 429
    assert Event.objects.filter(verb="second_factor_failed", subject_id=developer.pk).count() == 10


def test_wrong_first_codes_of_an_app_are_limited(developer: User, log_in: LogIn) -> None:
    client, path = log_in(developer), "/accounts/2fa/totp/activate/"
    post(client, "/accounts/reauthenticate/", password=PASSWORD)
    get(client, path)
    assert {post(client, path, code="000000").status_code for _ in range(10)} == {200}
    assert is_stopped_with(post(client, path, code="000000"), "wrong codes")


def test_right_codes_use_nothing_up(developer: User, log_in: LogIn, time_machine: Any) -> None:
    client, secret = log_in(developer), generate_totp_secret()
    TOTP.activate(developer, secret)
    for number in range(12):
        time_machine.move_to(START + timedelta(seconds=30 * number), tick=False)  # a code is good once
        assert post(client, "/accounts/2fa/reauthenticate/", code=code_of(secret)).status_code == 302


def test_log_ins_by_a_passkey_are_limited_for_an_address(settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_PASSKEY = "10 per 5 minutes"
    client, path = Client(), "/accounts/2fa/webauthn/login/"
    script = {"X-Requested-With": "XMLHttpRequest"}
    assert {client.get(path, secure=True, headers=script).status_code for _ in range(5)} == {200}
    assert {post(client, path, credential="{}").status_code for _ in range(5)} == {302}
    assert is_stopped_with(post(client, path, credential="{}"), "Too many passkey attempts from your network.")
    assert is_stopped_with(client.get(path, secure=True, headers=script), "passkey attempts")
    assert post(browser_at(9), path, credential="{}").status_code == 302
