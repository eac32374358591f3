"""What a stranger sees of an account that exists and of one that does not costs the same: hashes, queries, messages."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from pytest_django import Settings

from accounts.models import AttemptWindow
from accounts.services import deactivate_user
from keyportal import settings as portal_settings
from tests.accounts.mailbox import post
from tests.conftest import ORIGIN, PASSWORD, MakeUser
from tests.work import QUICK, Work, equal_work

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H9")]
KINDS = ("confirmed", "unconfirmed", "inactive", "unusable", "second-factor", "nobody")


@pytest.fixture(autouse=True)
def in_one_window(time_machine: Any) -> None:
    """Let the clock stand: a window of a limit that begins meanwhile is a row more."""
    time_machine.move_to(1_800_000_010, tick=False)


@pytest.fixture(autouse=True)
def people(make_user: MakeUser, settings: Settings) -> None:
    """One account of each kind but `nobody`."""
    settings.PASSWORD_HASHERS = [QUICK, *portal_settings.PASSWORD_HASHERS[1:]]
    make_user("confirmed@example.com")
    make_user("unconfirmed@example.com", confirmed=False)
    make_user("unusable@example.com", password=None)
    TOTP.activate(make_user("second-factor@example.com"), generate_totp_secret())
    deactivate_user(user=make_user("inactive@example.com"), origin=ORIGIN)


def work_of(ask: Callable[[str], object], *kinds: str) -> Work:
    """Hold an answer to one amount of work for each kind of address, and return it."""
    actions = {kind: partial(ask, f"{kind}@example.com") for kind in kinds}
    for action in actions.values():  # what a process does only once is done then
        forget_guesses()
        action()
    return equal_work(actions, before=forget_guesses)


def forget_guesses() -> None:
    AttemptWindow.objects.all().delete()


def test_a_sign_up_costs_the_same_for_a_taken_address_as_for_a_free_one() -> None:
    free = iter(range(100))

    def sign_up(email: str) -> None:
        address = f"free{next(free)}@example.com" if email.startswith("nobody") else email
        answer = post(Client(), "/accounts/signup/", email=address, password1=PASSWORD)
        assert answer["Location"] == "/accounts/confirm-email/"

    work = work_of(sign_up, *KINDS)
    assert dict(work.hashes) == {"argon2": 1}
    assert work.messages == 1


def test_a_wrong_password_costs_the_same_at_every_account() -> None:
    def log_in(email: str) -> None:
        assert post(Client(), "/accounts/login/", login=email, password="wrong").status_code == 200

    work = work_of(log_in, *KINDS)
    assert dict(work.hashes) == {"argon2": 1}
    assert work.messages == 0


def test_a_reset_costs_the_same_whoever_has_the_address() -> None:
    def reset(email: str) -> None:
        assert post(Client(), "/accounts/password/reset/", email=email).status_code == 302

    work = work_of(reset, *KINDS)
    assert work.hashes == {}
    assert work.messages == 1


def test_a_link_for_a_new_browser_costs_the_same_whoever_has_the_address() -> None:
    def unlock(email: str) -> None:
        assert post(Client(), "/accounts/login/unlock/", email=email).status_code == 200

    work = work_of(unlock, *KINDS)
    assert work.hashes == {}
    assert work.messages == 1


def test_a_change_of_address_costs_the_same_whether_it_is_taken(
    log_in: Callable[..., Client], developer: object
) -> None:
    client = log_in(developer)

    def change(email: str) -> None:
        assert post(client, "/accounts/email/", email=email).status_code == 302

    work = work_of(change, *KINDS)
    assert work.messages == 1


def test_a_limit_that_is_used_up_costs_the_same_at_every_account(settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_LOGIN_PLACE = "1 per 5 minutes"

    def log_in_once_too_often(email: str) -> None:
        for _ in range(2):
            answer = post(Client(), "/accounts/login/", login=email, password="wrong")
        assert answer.status_code == 429

    work = work_of(log_in_once_too_often, "confirmed", "inactive", "nobody")
    assert dict(work.hashes) == {"argon2": 1}
