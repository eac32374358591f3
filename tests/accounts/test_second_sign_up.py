"""A second sign-up with an address that was never confirmed: its owner gets in, whichever sign-up came first."""

import pytest
from django.test import Client

from accounts.models import User
from accounts.services import deactivate_user
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import ORIGIN, PASSWORD, MakeUser

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H13")]
EMAIL = "new@example.com"
OTHER_PASSWORD, OWN_PASSWORD = "a phrase of somebody else", "a quite different phrase"


def sign_up(password: str) -> None:
    answer = post(Client(), "/accounts/signup/", email=EMAIL, password1=password)
    assert answer["Location"] == "/accounts/confirm-email/"


def choose_password(link: str, password: str) -> None:
    """Follow a link to a new password, and choose one."""
    browser = Client()
    post(browser, get(browser, link)["Location"], password1=password, password2=password)


def enters(password: str) -> bool:
    browser = Client()
    post(browser, "/accounts/login/", login=EMAIL, password=password)
    return bool(get(browser, "/keys/").status_code == 200)


def test_the_newest_message_of_a_second_sign_up_has_a_link_that_works() -> None:
    for password in (PASSWORD, OTHER_PASSWORD, OTHER_PASSWORD):
        sign_up(password)
    assert len(messages_to(EMAIL)) == 3
    choose_password(link_to(EMAIL), OWN_PASSWORD)
    assert User.objects.get().is_confirmed
    assert enters(OWN_PASSWORD)


@pytest.mark.finding("H3")
def test_who_typed_the_address_first_is_not_let_in_by_whoever_owns_it() -> None:
    sign_up(OTHER_PASSWORD)
    of_the_stranger = link_to(EMAIL, "/confirm-email/")
    sign_up(PASSWORD)
    assert post(Client(), of_the_stranger).status_code == 410
    choose_password(link_to(EMAIL), OWN_PASSWORD)
    assert not enters(OTHER_PASSWORD)
    assert enters(OWN_PASSWORD)


def test_a_second_sign_up_leaves_a_reset_that_was_asked_for() -> None:
    sign_up(PASSWORD)
    post(Client(), "/accounts/password/reset/", email=EMAIL)
    reset = link_to(EMAIL, "/password/reset/key/")
    sign_up(OTHER_PASSWORD)
    choose_password(reset, OWN_PASSWORD)
    assert enters(OWN_PASSWORD)


@pytest.mark.parametrize("confirmed", [True, False])
def test_an_account_that_is_confirmed_or_switched_off_gets_no_link_by_a_sign_up(
    make_user: MakeUser, confirmed: bool
) -> None:
    user = make_user(EMAIL, confirmed=confirmed)
    if not confirmed:
        deactivate_user(user=user, origin=ORIGIN)
    sign_up(OTHER_PASSWORD)
    assert "already has an account" in messages_to(EMAIL)[-1]
    assert "/key/" not in messages_to(EMAIL)[-1]
