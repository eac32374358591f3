"""A browser whose session ends while a form is open, the log-in that follows, and what the form had."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import User
from accounts.sessions import SessionStore
from apikeys.models import APIKey
from credentials.scopes.models import Scope
from tests.conftest import PASSWORD, MakeKey

COOKIE = "__Host-sessionid"
LOG_IN = "/accounts/login/"
PASSKEY = 4242


class Browser:
    """A browser of a user: it goes through the log-in page, and keeps its cookies."""

    def __init__(self, user: User, *, strict: bool = False) -> None:
        self.client = Client(enforce_csrf_checks=strict)
        self.user = user

    def get(self, path: str, **more: Any) -> Any:
        """Open a page."""
        return self.client.get(path, secure=True, **more)

    def post(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> Any:
        """Send a form."""
        return self.client.post(path, fields or {}, secure=True, **more)

    def log_in(self, user: User | None = None, at: str = LOG_IN) -> str:
        """Log in by the form and return the address that it leads to."""
        answer = self.post(at, {"login": (user or self.user).email, "password": PASSWORD})
        assert answer.status_code == 302, answer.content.decode()
        return str(answer["Location"])

    def follow(self, answer: Any) -> Any:
        """Return the page that comes in the end; confirm the password where it is asked for once more."""
        if answer.status_code == 302 and answer["Location"].startswith("/accounts/reauthenticate/"):
            answer = self.post(answer["Location"], {"password": PASSWORD})
        return self.get(answer["Location"], follow=True) if answer.status_code == 302 else answer

    def session(self) -> SessionStore:
        """Return what the browser's cookie opens."""
        return SessionStore.of_cookie(self.client.cookies[COOKIE].value)


def sign_out_elsewhere(user: User) -> None:
    """End every session, as “Sign out everywhere else” of another browser does: this one does not hear of it."""
    for session in UserSession.objects.filter(user=user):
        session.end()
    Session.objects.all().delete()


def age(browser: Browser) -> None:
    """Let the log-in be no longer fresh."""
    session = browser.session()
    session["account_authentication_methods"] = [{"method": "password", "at": 1.0}]
    session.save()


def text_of(answer: Any) -> str:
    """Return the page without its HTML escapes."""
    return unescape(answer.content.decode())


def next_of(answer: Any) -> str:
    """Return the address that the log-in of this redirect leads back to."""
    return str(parse_qs(urlsplit(answer["Location"]).query)["next"][0])


@pytest.fixture
def browser(developer: User, scopes: list[Scope]) -> Browser:
    """The developer's browser, logged in."""
    browser = Browser(developer)
    browser.log_in()
    return browser


@pytest.fixture
def desk(operator: User, scopes: list[Scope]) -> Browser:
    """An operator's browser, logged in."""
    browser = Browser(operator)
    browser.log_in()
    return browser


@pytest.fixture
def operators_key(operator: User, make_key: MakeKey) -> APIKey:
    """A key of the operator, who may open every page."""
    return make_key(owner=operator)[0]


@contextmanager
def a_passkey(user: User) -> Iterator[None]:
    """Let the user have a passkey for a while: a log-in would ask for it."""
    data = {"name": "old", "credential": {}}
    passkey = Authenticator.objects.create(pk=PASSKEY, user=user, type="webauthn", data=data)
    yield
    passkey.delete()


NEW_KEY = {
    "name": "Zahlung <b> & 🔑",
    "environment": "test",
    "scopes": ["reports:write"],
    "expiry": "date",
    "expiry_date": "2031-05-06",
    "networks": "203.0.113.0/24\nnot a network",
    "show_once": "on",
    "form_token": "t" * 43,
}
SHOWN = (
    'value="Zahlung &lt;b&gt; &amp; 🔑"',
    'value="2031-05-06"',
    "203.0.113.0/24\nnot a network</textarea>",
)


def checked_values(page: str, name: str) -> list[str]:
    return re.findall(rf'<input type="(?:checkbox|radio)" name="{name}" value="([^"]+)"[^>]* checked', page)


def assert_the_form_is_filled_in(page: str) -> None:
    """Check that the page has what `NEW_KEY` had, except its form token."""
    for part in SHOWN:
        assert part in page
    assert checked_values(page, "scopes") == ["reports:write"]
    assert checked_values(page, "environment") == ["test"]
    assert re.search(r'<option value="date" selected>', page)
    assert re.search(r'name="show_once"[^>]* checked', page)
    assert "t" * 43 not in page
