"""Tokens to try calls with on the pages of the reference: whom they are given to, and how they end."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from pytest_django import Settings

from accounts import services
from accounts.models import User
from apikeys.models import APIKey
from tests.apikeys.management import KEYS, Api
from tests.conftest import ORIGIN, LogIn, MakeKey
from tokens.models import TokenFamily
from tokens.services import issue_to_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scopes")]
TOKEN = "/docs/token/"


@pytest.fixture
def browser(log_in: LogIn, developer: User) -> Client:
    """A browser in which the developer has just logged in."""
    return log_in(developer)


def trial_of(browser: Client) -> Api:
    return Api(browser.post(TOKEN, secure=True).json()["access_token"])


def test_a_reader_tries_calls_with_a_short_lived_token_for_test_keys(browser: Client, make_key: MakeKey) -> None:
    assert browser.get(TOKEN, secure=True).status_code == 405
    answer = browser.post(TOKEN, secure=True)
    assert "no-store" in answer["Cache-Control"]
    token = answer.json()
    assert token["expires_in"] <= 600
    live, _ = make_key(name="live one")
    api = Api(token["access_token"])
    assert api.post(KEYS, {"name": "tried"}).json()["environment"] == "test"
    assert [key["name"] for key in api.get(KEYS).json()["items"]] == ["tried"]
    assert api("DELETE", f"{KEYS}/{live.pk}").status_code == 404
    assert APIKey.objects.get(pk=live.pk).revoked_at is None


@pytest.mark.security("B-07")
def test_it_is_given_to_the_page_alone(browser: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    assert strict.post(TOKEN, secure=True, headers={"Origin": "https://evil.example"}).status_code == 403
    assert Client().post(TOKEN, secure=True).status_code == 302


@pytest.mark.security("S-05")
def test_it_needs_a_fresh_log_in(log_in: LogIn, developer: User) -> None:
    answer = log_in(developer, ago=3600).post(TOKEN, secure=True)
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/reauthenticate/?next=%2Fdocs%2F"
    assert not TokenFamily.objects.exists()


def test_the_pages_say_how_calls_can_be_tried(log_in: LogIn, developer: User, client: Client) -> None:
    explorer = "/docs/explorer/"
    assert "/accounts/login/?next=/docs/explorer/" in client.get(explorer, secure=True).content.decode()
    stale = log_in(developer, ago=3600).get(explorer, secure=True).content.decode()
    assert "/accounts/reauthenticate/?next=/docs/explorer/" in stale
    assert "data-can-try" not in stale
    fresh = log_in(developer)
    assert "data-can-try" in fresh.get(explorer, secure=True).content.decode()
    assert "data-try" in fresh.get("/docs/", secure=True).content.decode()


def test_it_ends_when_its_user_logs_out(browser: Client) -> None:
    api = trial_of(browser)
    assert api.get(KEYS).status_code == 200
    browser.post("/accounts/logout/", secure=True)
    assert api.get(KEYS).status_code == 401


def test_it_ends_when_a_browser_is_signed_out_from_another_one(browser: Client, developer: User) -> None:
    api = trial_of(browser)
    session = UserSession.objects.create(user=developer, ip="203.0.113.7", session_key="x", user_agent="")
    services.end_session(session=session, origin=ORIGIN)
    assert api.get(KEYS).status_code == 401


def test_signing_out_ends_no_log_in_of_a_program(browser: Client, developer: User) -> None:
    log_in = issue_to_user(user=developer, scopes=["keys:read"], agent="API reference", origin=ORIGIN)
    browser.post("/accounts/logout/", secure=True)
    assert Api(log_in.access_token).get(KEYS).status_code == 200


def test_there_is_a_limit(browser: Client, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_TOKENS = "2 per hour"
    statuses = [browser.post(TOKEN, secure=True).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert TokenFamily.objects.count() == 2
