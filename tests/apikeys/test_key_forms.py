"""Forms for a key: a new secret is shown once, a bad field is said beside it, editing changes what was edited."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, KeyPolicy
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.mailbox import get, post
from tests.apikeys.key_pages import browser, form_of, secrets_in
from tests.conftest import ORIGIN, LogIn, MakeKey

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


@pytest.mark.security("S-07")
@pytest.mark.security("S-08")
def test_creating_shows_the_secret_once_and_never_caches_it(browser: Client) -> None:
    answer = post(browser, "/keys/new/", **form_of(browser))
    assert answer.status_code == 200
    assert len(secrets_in(answer)) == 1
    assert "no-store" in answer["Cache-Control"]
    key = APIKey.objects.get()
    for path in ("/keys/", f"/keys/{key.pk}/", f"/keys/{key.pk}/edit/", f"/keys/{key.pk}/revoke/", "/account/history/"):
        page = get(browser, path)
        assert page.status_code == 200
        assert not secrets_in(page)


def test_a_double_click_and_a_reload_make_one_key_and_show_it_once(browser: Client) -> None:
    fields = form_of(browser)
    first, second = (post(browser, "/keys/new/", **fields) for _ in range(2))
    assert len(secrets_in(first)) == 1
    assert (second.status_code, second["Location"]) == (302, f"/keys/{APIKey.objects.get().pk}/")
    assert not secrets_in(get(browser, second["Location"]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "   "}, "This field is required"),
        ({"name": "x" * 10_000}, "at most 100 characters"),
        ({"name": "a\x00b"}, "Null characters are not allowed"),
        ({"name": "a\x07b"}, "line breaks or control characters"),
        ({"name": "a\u202eb"}, "change the direction of text"),
        ({"name": "a\u200bb"}, "invisible characters"),
        ({"environment": "staging"}, "Select a valid choice"),
        ({"scopes": ["reports:burn"]}, "Select a valid choice"),
        ({"scopes": ["secrets:all"]}, "Select a valid choice"),
        ({"expiry": "date"}, "Choose a date"),
        ({"expiry": "date", "expiry_date": "2020-01-01"}, "in the past"),
        ({"expiry": "date", "expiry_date": "soon"}, "Enter a valid date"),
        ({"expiry": "date", "expiry_date": "9999-12-31"}, None),
        ({"networks": "10.0.0.1/8"}, "Line 1: This has host bits set. Write 10.0.0.0/8"),
        ({"networks": "\n203.0.113.7 # office\neverywhere"}, "Line 3: This isn&#x27;t an address or a network"),
        ({"networks": "nowhere\n" * 13}, "And 3 more."),
        ({"networks": "\n".join(f"10.0.0.{n}" for n in range(51))}, "up to 50"),
        ({"form_token": "short"}, "at least 43 characters"),
    ],
)
def test_a_bad_field_is_said_beside_the_field(
    browser: Client, scopes: list[Scope], fields: dict[str, Any], said: str | None
) -> None:
    answer = post(browser, "/keys/new/", **form_of(browser, **fields))
    assert answer.status_code == (200 if said is None else 400)
    assert (said or "") in answer.content.decode()
    assert APIKey.objects.count() == (0 if said else 1)


@pytest.mark.security("B-09")
@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>", "{{ 7*7 }}", "ключ مفتاح 🔑"]
)
def test_a_name_is_text_wherever_it_stands(browser: Client, name: str) -> None:
    post(browser, "/keys/new/", **form_of(browser, name=name))
    key = APIKey.objects.get()
    assert key.name == name
    for path in ("/keys/", f"/keys/{key.pk}/", f"/keys/{key.pk}/edit/", f"/keys/{key.pk}/revoke/"):
        page = get(browser, path).content.decode()
        assert "<img" not in page
        assert "<svg/onload" not in page
        assert "49" not in name or name in page


def test_the_form_is_filled_in_from_a_link(browser: Client, scopes: list[Scope]) -> None:
    page = get(browser, "/keys/new/?name=CI%20<b>&scope=reports:read").content.decode()
    assert 'value="CI &lt;b&gt;"' in page
    assert re.search(r'value="reports:read"[^>]* checked', page)


def test_editing_changes_the_key(browser: Client, make_key: MakeKey, scopes: list[Scope]) -> None:
    key, _ = make_key(scopes=["reports:read"])
    page = get(browser, f"/keys/{key.pk}/edit/").content.decode()
    assert re.search(r'value="reports:read"[^>]* checked', page)
    fields = {"name": "renamed", "scopes": ["reports:write"], "expiry": "30", "networks": "\n203.0.113.7 # office"}
    assert post(browser, f"/keys/{key.pk}/edit/", version="1", **fields).status_code == 302
    after = APIKey.objects.get()
    assert (after.name, after.scopes, after.networks) == ("renamed", "reports:write", "203.0.113.7/32")
    assert after.expires_at is not None
    assert timedelta(days=29) < after.expires_at - timezone.now() < timedelta(days=31)
    assert after.seal_is_valid()


def test_an_expiry_keeps_its_hour_when_something_else_is_edited(browser: Client, make_key: MakeKey) -> None:
    at = (timezone.now() + timedelta(days=40)).replace(hour=2, minute=30, second=7, microsecond=5)
    key, _ = make_key(expires_at=at)
    fields = {"name": "renamed", "expiry": "date", "expiry_date": at.date().isoformat(), "networks": ""}
    assert post(browser, f"/keys/{key.pk}/edit/", version="1", **fields).status_code == 302
    assert APIKey.objects.get().expires_at == at
    assert Event.objects.get(verb="key_edited").details["changed"] == ["name"]


@pytest.mark.security("B-07")
def test_a_form_from_elsewhere_is_refused(developer: User, make_key: MakeKey, log_in: LogIn) -> None:
    key, _ = make_key()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = log_in(developer).cookies
    answer = strict.post(f"/keys/{key.pk}/revoke/", {}, secure=True, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "come from the portal" in answer.content.decode()
    assert APIKey.objects.get().revoked_at is None


def test_the_last_day_that_a_policy_allows_can_be_chosen(browser: Client) -> None:
    services.set_policy(policy=KeyPolicy(environment="live", max_days=30), origin=ORIGIN)
    last = timezone.now() + timedelta(days=30)
    post(browser, "/keys/new/", **form_of(browser, expiry="date", expiry_date=str(last.date())))
    expires_at = APIKey.objects.get().expires_at
    assert expires_at
    assert last <= expires_at <= timezone.now() + timedelta(days=30)
    beyond = str(last.date() + timedelta(days=2))
    answer = post(browser, "/keys/new/", **form_of(browser, expiry="date", expiry_date=beyond))
    assert "at most 30 days from now" in answer.content.decode()
