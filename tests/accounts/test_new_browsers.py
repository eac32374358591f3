"""The message about a log-in with a browser that the account does not know, and what counts as one."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings as portal_settings
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.message_kinds import MessageKind
from accounts.models import User
from accounts.new_devices import MAX_AGENT, displayed_agent
from accounts.places import log_ins
from accounts.services import deactivate_user, set_email_preferences
from tests.accounts.authenticator_app import code_of
from tests.accounts.log_in_form import is_logged_in, log_in_by_form
from tests.accounts.mailbox import forget_messages, get, link_to, messages_to, post
from tests.conftest import ORIGIN, PASSWORD, MakeKey, MakeUser

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"
SUBJECT = "[keyportal] New log-in to your account"


@pytest.fixture
def known(developer: User) -> Client:
    """The browser in which the account was used first."""
    browser = Client()
    log_in_by_form(browser)
    return browser


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


def were_new(user: User) -> list[bool]:
    """Return what the record says of each log-in's device, oldest first."""
    return [event.details["new_device"] for event in log_ins(user.pk).order_by("id")]


def test_a_log_in_with_a_new_browser_is_reported_to_the_owner(known: Client, developer: User) -> None:
    assert (subjects(), were_new(developer)) == ([], [True])  # the account's first log-in
    log_in_by_form(Client(REMOTE_ADDR="203.0.113.9"), headers={"User-Agent": FIREFOX})
    [message] = mail.outbox
    sent: Any = message
    assert (sent.to, sent.subject) == (["dev@example.com"], SUBJECT)
    for text in (sent.body, unescape(sent.alternatives[0][0])):
        assert "From: 203.0.113.9" in text
        assert f"Browser: {FIREFOX}" in text
        for path in ("/accounts/password/change/", "/accounts/sessions/", "/account/history/", "/account/emails/"):
            assert f"https://portal.test{path}" in text
    assert "If it wasn't you, change your password now:\n\nhttps://portal.test/accounts/password/change/" in sent.body
    assert were_new(developer) == [True, True]


def test_the_same_browser_is_not_new_again_wherever_it_is(known: Client, developer: User) -> None:
    post(known, "/accounts/logout/")
    log_in_by_form(known, REMOTE_ADDR="203.0.113.9", headers={"User-Agent": FIREFOX})
    assert is_logged_in(known)
    assert (subjects(), were_new(developer)) == ([], [True, False])


def test_the_first_log_in_after_a_sign_up_is_not_reported(client: Client) -> None:
    post(client, "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    elsewhere = Client()
    post(elsewhere, link_to("new@example.com", "/confirm-email/"))
    forget_messages()
    log_in_by_form(client, "new@example.com")
    assert is_logged_in(client)
    assert messages_to("new@example.com") == []
    log_in_by_form(elsewhere, "new@example.com")
    assert subjects() == [SUBJECT]


def test_a_refused_log_in_is_not_reported(known: Client, developer: User, make_user: MakeUser) -> None:
    log_in_by_form(Client(), password="wrong")
    log_in_by_form(Client(), "nobody@example.com")
    deactivate_user(user=developer, origin=ORIGIN)
    log_in_by_form(Client())
    assert subjects() == []


def test_a_log_in_that_lacks_the_second_factor_is_not_reported_until_it_is_complete(
    known: Client, developer: User
) -> None:
    secret = generate_totp_secret()
    TOTP.activate(developer, secret)
    browser = Client()
    log_in_by_form(browser)
    assert subjects() == []
    post(browser, "/accounts/2fa/authenticate/", code=code_of(secret))
    assert is_logged_in(browser)
    assert subjects() == [SUBJECT]


def test_a_user_who_does_not_want_it_gets_none_and_it_is_recorded_all_the_same(known: Client, developer: User) -> None:
    set_email_preferences(user=developer, wanted=set(MessageKind) - {MessageKind.NEW_DEVICE}, origin=ORIGIN)
    log_in_by_form(Client())
    assert (subjects(), were_new(developer)) == ([], [True, True])


def test_two_accounts_in_one_browser_do_not_make_it_new_to_each_other(known: Client, make_user: MakeUser) -> None:
    others = [make_user(f"other{number}@example.com").email for number in range(4)]
    for email in (*others, "dev@example.com", *others):
        post(known, "/accounts/logout/")
        log_in_by_form(known, email)
    assert subjects() == []
    assert len(known.cookies[portal_settings.KEYPORTAL_DEVICE_COOKIE].value) < 500


def test_a_made_up_cookie_is_no_known_device(known: Client, developer: User, make_user: MakeUser) -> None:
    of_another = Client()
    log_in_by_form(of_another, make_user("other@example.com").email)
    good = known.cookies[portal_settings.KEYPORTAL_DEVICE_COOKIE].value
    foreign = of_another.cookies[portal_settings.KEYPORTAL_DEVICE_COOKIE].value
    for number, made_up in enumerate((foreign, good[:-1], "." * 4000 + good, "x", ":::")):
        browser = Client()
        browser.cookies[portal_settings.KEYPORTAL_DEVICE_COOKIE] = made_up
        log_in_by_form(browser)
        assert len(subjects()) == number + 1, made_up[:80]


def test_the_browser_that_changes_the_address_stays_known(known: Client, developer: User) -> None:
    post(known, "/accounts/email/", email="new@example.com")
    post(known, link_to("new@example.com", "/email/confirm/"))
    post(known, "/accounts/logout/")
    forget_messages()
    log_in_by_form(known, "new@example.com")
    assert is_logged_in(known)
    assert subjects() == []


@pytest.mark.parametrize(("days", "reported"), [(29, []), (31, [SUBJECT])])
def test_an_account_older_than_the_trail_counts_as_used(
    developer: User, settings: Settings, days: int, reported: list[str]
) -> None:
    settings.KEYPORTAL_AUDIT_DAYS = 30
    User.objects.update(joined_at=timezone.now() - timedelta(days=days))
    log_in_by_form(Client())
    assert subjects() == reported


def test_the_history_marks_new_devices(known: Client) -> None:
    log_in_by_form(Client())
    post(known, "/accounts/logout/")
    log_in_by_form(known)
    page = get(known, "/account/history/").content.decode()
    assert (page.count("Logged in\n"), page.count("New device")) == (3, 2)


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        (FIREFOX, FIREFOX),
        ("", "unknown"),
        ("\u202e\x00", "unknown"),
        ("Click http://evil.example/x or https://192.0.2.1", "Click http evil example/x or https 192.0.2.1"),
        ("www.evil.example, mail me@evil.example", "www evil example, mail me evil example"),
        ("evil\u3002example", "evil example"),
        ("curl/8.5.0", "curl/8.5.0"),
    ],
)
def test_what_a_browser_calls_itself_is_shown_without_links(agent: str, shown: str) -> None:
    assert displayed_agent(agent) == shown


def test_what_a_browser_calls_itself_is_bounded_and_holds_no_secret(make_key: MakeKey) -> None:
    assert len(displayed_agent("x" * 9000)) == MAX_AGENT
    _, secret = make_key()
    assert displayed_agent(f"tool {secret}") == f"tool kp_live_…{secret[-4:]}"
