"""Limits on sign-ups and on messages: for a mailbox, for an address, and none that keeps the owner out."""

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from tests.accounts.attempts import EMAIL, browser_at, in_one_window, is_stopped_with, try_password
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import PASSWORD, LogIn, MakeUser

__all__ = ["in_one_window"]

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.finding("H13"),
    pytest.mark.usefixtures("in_one_window"),
    pytest.mark.sweep,  # many guesses
]


def test_sign_ups_of_one_address_end_in_429_and_only_good_forms_count() -> None:
    client = Client()
    for number in range(25):
        assert post(client, "/accounts/signup/", email=f"n{number}@example.com", password1="short").status_code == 200
    for number in range(20):
        answer = post(client, "/accounts/signup/", email=f"n{number}@example.com", password1=PASSWORD)
        assert answer.status_code == 302
    over = post(client, "/accounts/signup/", email="over@example.com", password1=PASSWORD)
    assert is_stopped_with(over, "accounts were created from your network")
    assert int(over["Retry-After"]) > 60
    assert "minute" in over.content.decode()
    assert not User.objects.filter(email="over@example.com").exists()


@pytest.mark.parametrize("path", ["/accounts/password/reset/", "/accounts/login/unlock/"])
def test_one_mailbox_gets_so_many_messages_and_no_more(developer: User, path: str) -> None:
    for number in range(5):
        assert post(browser_at(number), path, email=EMAIL).status_code in (200, 302)
    assert is_stopped_with(post(browser_at(99), path, email=EMAIL), "several messages")
    assert len(messages_to(EMAIL)) == 5
    assert is_stopped_with(post(browser_at(98), path, email="DEV@example.com"), "several messages")


def test_one_mailbox_gets_so_many_messages_by_sign_ups_and_no_more(developer: User) -> None:
    for number in range(5):
        assert post(browser_at(number), "/accounts/signup/", email=EMAIL, password1=PASSWORD).status_code == 302
    assert is_stopped_with(
        post(browser_at(99), "/accounts/signup/", email=EMAIL, password1=PASSWORD), "several messages"
    )
    assert len(messages_to(EMAIL)) == 5


def test_one_mailbox_gets_so_many_messages_by_log_ins_and_no_more(make_user: MakeUser) -> None:
    make_user(EMAIL, confirmed=False)
    for number in range(5):
        assert try_password(browser_at(number), password=PASSWORD)["Location"] == "/accounts/confirm-email/"
    assert is_stopped_with(try_password(browser_at(99), password=PASSWORD), "several messages")
    assert len(messages_to(EMAIL)) == 5


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/accounts/password/reset/", "/accounts/login/unlock/"),
        ("/accounts/login/unlock/", "/accounts/password/reset/"),
    ],
)
def test_messages_that_a_stranger_asks_for_use_up_none_that_let_the_owner_in(
    developer: User, make_user: MakeUser, log_in: LogIn, path: str, other: str
) -> None:
    attacker = log_in(make_user("attacker@example.com"))
    for number in range(6):
        signed_up = post(browser_at(number), "/accounts/signup/", email=EMAIL, password1=PASSWORD)
        asked = post(attacker, "/accounts/email/", email=EMAIL)
        asked_too = post(browser_at(number), other, email=EMAIL)
    assert {answer.status_code for answer in (signed_up, asked, asked_too)} == {429}
    mail.outbox.clear()
    assert post(browser_at(99), path, email=EMAIL).status_code in (200, 302)
    assert get(Client(), link_to(EMAIL, path)).status_code in (200, 302)


def test_the_button_that_sends_the_confirmation_again_is_limited(make_user: MakeUser, log_in: LogIn) -> None:
    client = log_in(make_user(EMAIL, confirmed=False))
    answers = [post(client, "/accounts/email/resend/") for _ in range(6)]
    assert [answer.status_code for answer in answers[:5]] == [302] * 5
    assert is_stopped_with(answers[5], "several messages")
    assert len(messages_to(EMAIL)) == 5


def test_one_address_asks_for_so_many_messages_and_no_more(developer: User) -> None:
    client = Client()
    for number in range(30):
        assert post(client, "/accounts/password/reset/", email=f"nobody{number}@example.com").status_code == 302
    assert is_stopped_with(post(client, "/accounts/password/reset/", email=EMAIL), "requested from your network")
    assert len(mail.outbox) == 30
