"""How long a link of a message is good: to the minute, by a clock that the test moves."""

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from tests.accounts.mailbox import post
from tests.conftest import PASSWORD
from tests.limits import START, Clock, clock

__all__ = ["clock"]  # a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.security("A-11"), pytest.mark.finding("F")]
NEW_PASSWORD = "a quite different phrase"
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


def link_of_the_last_message(path: str) -> str:
    """Return the path of the link that begins so."""
    found = re.search(rf"https://portal\.test({path}\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def is_confirmed_after(seconds: int, clock: Clock) -> bool:
    """Sign up, follow the link after a while, and tell whether the address is confirmed."""
    fields = {"email": f"after{seconds}@example.com", "password1": PASSWORD}
    post(Client(), "/accounts/signup/", **fields)
    path = link_of_the_last_message("/accounts/confirm-email/")
    clock.move_to(START + seconds, tick=False)
    browser = Client()
    page = browser.get(path, secure=True).content.decode()
    browser.post(path, secure=True)
    confirmed = User.objects.get(email=fields["email"]).is_confirmed
    assert ("Yes, confirm" in page) is confirmed
    assert ("This link no longer works" in page) is not confirmed
    return confirmed


def changes_the_password_after(seconds: int, clock: Clock, user: User) -> bool:
    """Ask for a new password, follow the link after a while, and tell whether the password was changed."""
    post(Client(), "/accounts/password/reset/", email=user.email)
    path = link_of_the_last_message("/accounts/password/reset/key/")
    clock.move_to(START + seconds, tick=False)
    browser = Client()
    answer: Any = browser.get(path, secure=True, follow=True)
    form = answer.request["PATH_INFO"]
    browser.post(form, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}, secure=True)
    user.refresh_from_db()
    return user.check_password(NEW_PASSWORD)


@pytest.mark.parametrize(("seconds", "good"), [(MINUTE, True), (DAY - MINUTE, True), (DAY + MINUTE, False)])
def test_a_confirmation_link_is_good_for_a_day(clock: Clock, seconds: int, good: bool) -> None:
    assert is_confirmed_after(seconds, clock) is good


@pytest.mark.parametrize(("seconds", "good"), [(MINUTE, True), (HOUR - MINUTE, True), (HOUR + MINUTE, False)])
def test_a_link_for_a_new_password_is_good_for_an_hour(clock: Clock, developer: User, seconds: int, good: bool) -> None:
    assert changes_the_password_after(seconds, clock, developer) is good


@pytest.mark.parametrize(("seconds", "good"), [(MINUTE, True), (HOUR - MINUTE, True), (HOUR + MINUTE, False)])
def test_a_link_that_makes_a_browser_known_is_good_for_an_hour(
    clock: Clock, developer: User, seconds: int, good: bool
) -> None:
    post(Client(), "/accounts/login/unlock/", email=developer.email)
    path = link_of_the_last_message("/accounts/login/unlock/")
    clock.move_to(START + seconds, tick=False)
    assert (Client().post(path, secure=True).status_code == 302) is good
