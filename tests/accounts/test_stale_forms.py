"""Forms whose token does not fit: a second log-in tab, pages from before a log-in, other people's, and other sites'."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory

from accounts import drafts
from accounts.models import User
from accounts.sessions import SessionStore
from apikeys.models import APIKey
from audit.models import Event
from keyportal.http.csrf import is_from_our_page
from tests.conftest import PASSWORD, MakeKey, MakeUser

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H23"), pytest.mark.finding("H30")]
LOG_IN = "/accounts/login/"


class Tabs:
    """One browser with several tabs: each form is sent with the token that its own page had."""

    def __init__(self, host: str = "portal.test") -> None:
        self.client = Client(enforce_csrf_checks=True, headers={"Host": host})
        self.origin = f"https://{host}"

    def get(self, path: str) -> Any:
        return self.client.get(path, secure=True)

    def open(self, path: str) -> str:
        """Open a page in a new tab and give its form's token."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).content.decode())
        assert found
        return found[1]

    def send(self, path: str, token: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
        sent = {"Origin": self.origin} if headers is None else headers
        return self.client.post(path, {"csrfmiddlewaretoken": token, **fields}, secure=True, headers=sent)

    def log_in(self, user: User, **more: Any) -> Any:
        return self.send(LOG_IN, self.open(LOG_IN), login=user.email, password=PASSWORD, **more)

    def log_out(self) -> None:
        self.send("/accounts/logout/", self.open("/accounts/logout/"))

    def session(self) -> SessionStore:
        return SessionStore.of_cookie(self.client.cookies["__Host-sessionid"].value)


@pytest.fixture
def tabs() -> Tabs:
    """A browser without cookies."""
    return Tabs()


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


# --- the second log-in tab ---


def test_the_second_log_in_tab_leads_to_where_one_wanted_to_go(tabs: Tabs, developer: User) -> None:
    token = tabs.open(LOG_IN)
    tabs.log_in(developer)
    for wanted, there in (
        ("", "/keys/"),
        ("/account/history/", "/account/history/"),
        ("https://evil.example/", "/keys/"),
        ("//evil.example", "/keys/"),
    ):
        answer = tabs.send(LOG_IN, token, login=developer.email, password=PASSWORD, next=wanted)
        assert (answer.status_code, answer["Location"]) == (302, there)
    assert "logged in as" not in text_of(tabs.get("/keys/"))


def test_the_second_tab_does_not_switch_accounts_and_says_so(tabs: Tabs, developer: User, make_user: MakeUser) -> None:
    other = make_user("other@example.com")
    token = tabs.open(LOG_IN)
    tabs.log_in(developer)
    tabs.send(LOG_IN, token, login=other.email, password=PASSWORD)
    assert "You are already logged in as dev@example.com." in text_of(tabs.get("/keys/"))
    assert not Event.objects.filter(verb="logged_in", subject_id=other.pk).exists()


@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/2fa/webauthn/login/", "/accounts/2fa/authenticate/"])
def test_the_other_ways_in_lead_on_as_well(tabs: Tabs, developer: User, path: str) -> None:
    token = tabs.open(LOG_IN)
    tabs.log_in(developer)
    answer = tabs.send(path, token, email="x@example.com", password1=PASSWORD, code="123456", credential="{}")
    assert (answer.status_code, answer["Location"]) == (302, "/keys/")


def test_a_log_in_tab_from_before_a_log_out_shows_the_form_again_with_the_address(tabs: Tabs, developer: User) -> None:
    token = tabs.open(LOG_IN)
    tabs.log_in(developer)
    tabs.log_out()
    answer = tabs.send(LOG_IN, token, login="dev@example.com", password=PASSWORD, next="/account/history/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=%2Faccount%2Fhistory%2F")
    page = text_of(tabs.get(answer["Location"]))
    assert "The page was out of date." in page
    assert 'value="dev@example.com"' in page
    assert PASSWORD not in page
    assert not is_logged_in(tabs)
    token = tabs.open(answer["Location"])
    again = tabs.send(LOG_IN, token, login="dev@example.com", password=PASSWORD, next="/account/history/")
    assert again["Location"] == "/account/history/"


def is_logged_in(tabs: Tabs) -> bool:
    return bool(tabs.get("/keys/").status_code == 200)


def test_a_browser_without_cookies_is_told_so_instead_of_being_sent_in_circles(tabs: Tabs, developer: User) -> None:
    token = tabs.open(LOG_IN)
    tabs.client.cookies.clear()
    answer = tabs.send(LOG_IN, token, login="dev@example.com", password=PASSWORD)
    assert answer.status_code == 403
    assert "Allow cookies" in text_of(answer)
    assert 'href="/accounts/login/">Back to the page' in text_of(answer)


# --- any other form ---


def test_a_form_from_before_a_new_log_in_is_filled_in_again(tabs: Tabs, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key(name="before")
    tabs.log_in(developer)
    path = f"/keys/{key.pk}/edit/"
    token = tabs.open(path)
    tabs.log_out()
    tabs.log_in(developer)
    answer = tabs.send(path, token, name="typed", expiry="never")
    assert answer.status_code == 403
    assert "This page is out of date" in text_of(answer)
    assert f'href="{path}">Back to the page' in text_of(answer)
    page = text_of(tabs.get(path))
    assert 'value="typed"' in page
    assert "The page was out of date. What you typed is still here but has not been sent" in page
    assert APIKey.objects.get().name == "before"
    assert 'value="typed"' not in text_of(tabs.get(path))


def test_a_button_from_before_a_new_log_in_leads_to_its_page(tabs: Tabs, developer: User, make_key: MakeKey) -> None:
    key, secret = make_key()
    tabs.log_in(developer)
    token = tabs.open(f"/keys/{key.pk}/")
    tabs.log_out()
    tabs.log_in(developer)
    answer = tabs.send(f"/keys/{key.pk}/secrets/{key.secrets.get().pk}/reveal/", token)
    assert f'href="/keys/{key.pk}/#secrets">Back to the page' in text_of(answer)
    assert secret not in text_of(answer)
    assert "Press “Reveal” again" in text_of(tabs.get(f"/keys/{key.pk}/"))


def test_a_form_of_a_log_out_asks_once_more(tabs: Tabs, developer: User) -> None:
    tabs.log_in(developer)
    token = tabs.open("/keys/")
    tabs.log_out()
    tabs.log_in(developer)
    answer = tabs.send("/accounts/logout/", token)
    assert 'href="/accounts/logout/">Back to the page' in text_of(answer)
    assert "Press “Log out” again" in text_of(tabs.get("/accounts/logout/"))


def test_what_one_person_typed_is_not_shown_to_the_next(
    tabs: Tabs, developer: User, make_user: MakeUser, scopes: object
) -> None:
    tabs.log_in(developer)
    token = tabs.open("/keys/new/")
    tabs.log_out()
    tabs.log_in(make_user("other@example.com"))
    answer = tabs.send("/keys/new/", token, name="typed by the first")
    assert answer.status_code == 403
    assert "typed by the first" not in text_of(answer)
    assert "typed by the first" not in text_of(tabs.get("/keys/new/"))
    assert drafts.KEY not in tabs.session()
    assert "Back button may still show it" in text_of(answer)


# --- other sites ---

FROM_ELSEWHERE: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://portal.test"},
    {"Origin": "https://portal.test.evil.example"},
    {"Origin": "https://portal.test:8443"},
    {"Origin": "https://[", "Referer": "https://portal.test/keys/"},
    {"Referer": "https://evil.example/?https://portal.test/"},
    {"Referer": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://portal.test", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://portal.test", "Sec-Fetch-Site": "same-site"},
    {},
]


@pytest.mark.sweep
@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
@pytest.mark.parametrize("path", ["/keys/new/", LOG_IN, "/accounts/email/"])
def test_what_another_site_sends_is_neither_kept_nor_shown_nor_led_anywhere(
    tabs: Tabs, developer: User, path: str, headers: dict[str, str]
) -> None:
    tabs.log_in(developer)
    answer = tabs.send(
        path, "x" * 64, headers=headers, name="evil", login="evil", email="evil@e.example", action_add=""
    )
    page = text_of(answer)
    assert answer.status_code == 403
    assert "This request didn't come from the portal" in page
    assert "evil" not in page
    assert "Back to the page" not in page
    assert drafts.KEY not in tabs.session()
    assert "evil" not in text_of(tabs.get("/keys/new/"))


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_a_form_from_another_site_leaves_no_session_of_a_stranger(tabs: Tabs, headers: dict[str, str]) -> None:
    tabs.open(LOG_IN)
    answer = tabs.send("/keys/new/", "x" * 64, headers=headers, name="evil")
    assert answer.status_code == 403
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"Origin": "http://portal.test"}, True),
        ({"Referer": "http://portal.test/keys/"}, True),
        ({"Origin": "http://portal.test", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://evil.example", "Referer": "http://portal.test/keys/"}, False),
        ({"Referer": "http://evil.example/"}, False),
        ({}, False),
    ],
)
def test_over_plain_http_too_a_page_of_ours_is_known_by_its_origin_or_its_referrer(
    headers: dict[str, str], ours: bool
) -> None:
    request = RequestFactory(headers={"Host": "portal.test", **headers}).post("/keys/new/")
    assert is_from_our_page(request) is ours
