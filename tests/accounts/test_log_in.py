"""Log-in with a password: who gets in, what a stranger does not learn, and how guessing is slowed down."""

import re

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from accounts.services import deactivate_user
from audit.models import Event
from tests.accounts.log_in_form import is_logged_in, log_in_by_form
from tests.accounts.mailbox import post
from tests.conftest import ORIGIN, MakeUser

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("email", ["dev@example.com", "DEV@Example.COM", " dev@example.com "])
def test_the_address_is_read_in_any_case(client: Client, developer: User, email: str) -> None:
    assert log_in_by_form(client, email)["Location"] == "/keys/"
    assert is_logged_in(client)


@pytest.mark.security("A-02")
def test_no_character_of_a_password_is_dropped_or_folded(client: Client, make_user: MakeUser) -> None:
    password = "Px" * 60 + "A"
    make_user("long@example.com", password=password)
    assert log_in_by_form(client, "long@example.com", password[:-1] + "B").status_code == 200
    assert log_in_by_form(client, "long@example.com", password.lower()).status_code == 200
    assert log_in_by_form(client, "long@example.com", password).status_code == 302


@pytest.mark.security("A-09")
def test_a_wrong_password_and_an_unknown_address_are_answered_alike(client: Client, developer: User) -> None:
    wrong, unknown = log_in_by_form(client, password="wrong"), log_in_by_form(client, "nobody@example.com", "wrong")
    texts = [re.sub(r'value="[^"]*"', "", answer.content.decode()) for answer in (wrong, unknown)]
    assert wrong.status_code == unknown.status_code
    assert texts[0] == texts[1]
    assert Event.objects.filter(verb="login_failed", subject_id=developer.pk).count() == 1


def test_an_unconfirmed_person_is_sent_to_their_mailbox(client: Client, make_user: MakeUser) -> None:
    make_user("later@example.com", confirmed=False)
    assert log_in_by_form(client, "later@example.com")["Location"] == "/accounts/confirm-email/"
    assert not is_logged_in(client)
    assert mail.outbox[-1].to == ["later@example.com"]


def test_an_inactive_person_is_not_let_in(client: Client, developer: User) -> None:
    deactivate_user(user=developer, origin=ORIGIN)
    log_in_by_form(client)
    assert not is_logged_in(client)


@pytest.mark.security("A-08")
@pytest.mark.conformance("BA-11")
def test_guessing_is_slowed_down_for_strangers_but_not_for_the_owners_browser(client: Client, developer: User) -> None:
    log_in_by_form(client)
    post(client, "/accounts/logout/")
    for number in range(20):
        log_in_by_form(Client(REMOTE_ADDR=f"198.51.100.{number}"), password=f"guess {number}")
    stranger = Client(REMOTE_ADDR="198.51.100.200")
    waiting = log_in_by_form(stranger)
    assert waiting.status_code == 429
    assert 0 < int(waiting["Retry-After"]) <= 31
    assert not is_logged_in(stranger)
    assert log_in_by_form(client).status_code == 302
    assert is_logged_in(client)


@pytest.mark.security("S-06")
def test_confirming_a_password_is_limited_too(client: Client, developer: User) -> None:
    log_in_by_form(client)
    answers = [post(client, "/accounts/reauthenticate/", password=f"guess {n}").status_code for n in range(12)]
    assert answers[0] == 200
    assert answers[-1] == 429


@pytest.mark.security("P-02")
def test_the_limit_counts_the_peer_whatever_it_says_of_itself(client: Client, developer: User) -> None:
    for number in range(31):
        given = {"X-Forwarded-For": f"203.0.113.{number}"}
        answer = log_in_by_form(client, f"nobody{number}@example.com", "wrong", headers=given)
    assert answer.status_code == 429


def test_the_history_tells_what_happened(client: Client, developer: User) -> None:
    log_in_by_form(client, password="wrong")
    log_in_by_form(client)
    page = client.get("/account/history/", secure=True).content.decode()
    assert "Logged in" in page
    assert "Log-in failed" in page
    assert "Account created" in page
