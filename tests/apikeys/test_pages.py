"""The pages of keys as their owner, a stranger and an impatient person use them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from accounts.services import unconfirm_user
from accounts.sessions import SessionStore
from apikeys import services
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials.scopes.models import Scope
from tests.conftest import ORIGIN, LogIn, MakeKey, MakeUser

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"kp_(?:live|test)_[0-9A-Za-z]{49}")


@pytest.fixture
def browser(log_in: LogIn, developer: User) -> Client:
    """The developer's browser, freshly logged in. Requests are https, as in production."""
    return log_in(developer)


def get(browser: Client, path: str) -> Any:
    return browser.get(path, secure=True)


def post(browser: Client, path: str, **fields: Any) -> Any:
    return browser.post(path, fields, secure=True)


def form_of(browser: Client, **fields: Any) -> dict[str, Any]:
    page = get(browser, "/keys/new/").content.decode()
    found = re.search(r'name="form_token" value="(\w{43})"', page)
    assert found
    return {"name": "billing", "environment": "live", "expiry": "never", "form_token": found[1], **fields}


def secrets_in(response: Any) -> set[str]:
    return set(SECRET.findall(response.content.decode()))


def test_pages_of_keys_are_for_people_who_are_logged_in(client: Client) -> None:
    for path in ("/keys/", "/keys/new/", "/keys/key_x/", "/keys/key_x/edit/", "/keys/key_x/revoke/"):
        answer = get(client, path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/")


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
        ({"networks": "10.0.0.1/8"}, "isn&#x27;t a network"),
        ({"networks": "everywhere"}, "isn&#x27;t a network"),
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


@pytest.mark.security("Z-01")
def test_somebody_elses_key_is_as_unknown_as_no_key(browser: Client, make_user: MakeUser, make_key: MakeKey) -> None:
    theirs, _ = make_key(owner=make_user("other@example.com"))
    secret = theirs.secrets.get()
    for key_id in (theirs.pk, "key_" + "0" * 22, "1", theirs.pk.lower()):
        for path in ("", "edit/", "revoke/", "first-call/"):
            assert get(browser, f"/keys/{key_id}/{path}").status_code == 404
            assert post(browser, f"/keys/{key_id}/{path}").status_code in (404, 405)
        assert post(browser, f"/keys/{key_id}/secrets/{secret.pk}/reveal/").status_code == 404
    assert not secrets_in(get(browser, "/keys/"))
    assert theirs.pk not in re.sub(r'value="[^"]*"', "", get(browser, f"/keys/?q={theirs.pk}").content.decode())
    assert APIKey.objects.get().revoked_at is None


@pytest.mark.security("S-10")
def test_reveal_is_a_post(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    assert get(browser, f"/keys/{key.pk}/secrets/{key.secrets.get().pk}/reveal/").status_code == 405


@pytest.mark.security("S-05")
def test_reveal_asks_for_a_fresh_log_in_keeps_nothing_and_comes_back_to_the_key(
    log_in: LogIn, developer: User, make_key: MakeKey
) -> None:
    key, secret = make_key()
    path = f"/keys/{key.pk}/secrets/{key.secrets.get().pk}/reveal/"
    stale = log_in(developer, ago=301)
    answer = stale.post(path, {}, secure=True)
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/reauthenticate/?next=%2Fkeys%2F{key.pk}%2F%23secrets"
    kept = SessionStore.of_cookie(stale.cookies["__Host-sessionid"].value)
    assert "account_reauthentication_state" not in kept
    assert not Event.objects.filter(verb="key_revealed").exists()
    confirmed = stale.post(answer["Location"], {"password": "correct horse battery staple"}, secure=True)
    assert confirmed["Location"] == f"/keys/{key.pk}/#secrets"
    shown = stale.post(path, {}, secure=True)
    assert secrets_in(shown) == {secret}
    assert "no-store" in shown["Cache-Control"]


def test_reveal_shows_the_secret_on_the_record(browser: Client, make_key: MakeKey, developer: User) -> None:
    key, secret = make_key()
    answer = post(browser, f"/keys/{key.pk}/secrets/{key.secrets.get().pk}/reveal/")
    assert secrets_in(answer) == {secret}
    event = Event.objects.get(verb="key_revealed")
    assert (event.actor, event.address) == (f"user:{developer.pk}", "127.0.0.1")
    assert "Secret revealed" in get(browser, f"/keys/{key.pk}/").content.decode()


@pytest.mark.security("K-02")
def test_a_broken_ciphertext_is_an_error_page_without_a_secret(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    row = key.secrets.get()
    spoiled = bytearray(row.ciphertext or b"")
    spoiled[-1] ^= 1
    KeySecret.objects.update(ciphertext=bytes(spoiled))
    answer = post(browser, f"/keys/{key.pk}/secrets/{row.pk}/reveal/")
    assert answer.status_code == 500
    assert "can't be decrypted" in answer.content.decode()
    assert not secrets_in(answer)


def test_revoking_asks_once_and_then_ends_the_key(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key(name="billing")
    page = get(browser, f"/keys/{key.pk}/revoke/").content.decode()
    assert "can't be undone" in page
    assert APIKey.objects.get().revoked_at is None
    post(browser, f"/keys/{key.pk}/revoke/", reason="rotated by hand")
    page = get(browser, f"/keys/{key.pk}/").content.decode()
    assert "rotated by hand" in page
    assert "Reveal</button>" not in page
    assert get(browser, f"/keys/{key.pk}/revoke/").status_code == 302
    assert get(browser, f"/keys/{key.pk}/edit/").status_code == 302


def test_editing_changes_the_key(browser: Client, make_key: MakeKey, scopes: list[Scope]) -> None:
    key, _ = make_key(scopes=["reports:read"])
    page = get(browser, f"/keys/{key.pk}/edit/").content.decode()
    assert re.search(r'value="reports:read"[^>]* checked', page)
    fields = {"name": "renamed", "scopes": ["reports:write"], "expiry": "30", "networks": "203.0.113.7"}
    assert post(browser, f"/keys/{key.pk}/edit/", **fields).status_code == 302
    after = APIKey.objects.get()
    assert (after.name, after.scopes, after.networks) == ("renamed", "reports:write", "203.0.113.7/32")
    assert after.expires_at is not None
    assert timedelta(days=29) < after.expires_at - timezone.now() < timedelta(days=31)
    assert after.seal_is_valid()


def test_an_expiry_keeps_its_hour_when_something_else_is_edited(browser: Client, make_key: MakeKey) -> None:
    at = (timezone.now() + timedelta(days=40)).replace(hour=2, minute=30, second=7, microsecond=5)
    key, _ = make_key(expires_at=at)
    fields = {"name": "renamed", "expiry": "date", "expiry_date": at.date().isoformat(), "networks": ""}
    assert post(browser, f"/keys/{key.pk}/edit/", **fields).status_code == 302
    assert APIKey.objects.get().expires_at == at
    assert Event.objects.get(verb="key_edited").details["changed"] == ["name"]


def test_the_list_finds_filters_and_pages(browser: Client, make_key: MakeKey) -> None:
    for number in range(30):
        make_key(name=f"server {number:02}", environment="test" if number % 2 else "live")
    key, secret = make_key(name="the special one")
    services.revoke(key=key, reason="", origin=ORIGIN)

    def names(query: str) -> set[str]:
        return set(re.findall(r"<bdi>(.*?)</bdi>", get(browser, f"/keys/?{query}").content.decode()))

    assert len(names("")) == 25
    assert len(names("page=2")) == 6
    assert names("q=SPECIAL") == {"the special one"}
    assert names(f"q={key.pk[:12]}") == {"the special one"}
    assert names(f"q={secret[-4:]}") == {"the special one"}
    assert names("state=revoked") == {"the special one"}
    assert len(names("environment=test")) == 15
    assert get(browser, "/keys/?q=%00").status_code == 400
    assert names("page=nonsense") == names("")
    assert "No matching keys" in get(browser, "/keys/?q=nothing").content.decode()


def test_the_list_asks_the_database_as_often_for_many_keys_as_for_one(
    browser: Client, make_key: MakeKey, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_key()
    get(browser, "/keys/")
    with django_assert_max_num_queries(16) as few:
        get(browser, "/keys/")
    for _ in range(20):
        make_key()
    with django_assert_max_num_queries(len(few)):
        get(browser, "/keys/")


def test_a_developer_without_keys_is_told_what_a_key_is_for(browser: Client) -> None:
    page = get(browser, "/keys/").content.decode()
    assert "No keys yet" in page
    assert "Create your first key" in page


def test_an_unconfirmed_developer_can_make_no_key_and_is_offered_the_message_again(
    browser: Client, developer: User
) -> None:
    unconfirm_user(user=developer, origin=ORIGIN)
    page = get(browser, "/keys/").content.decode()
    assert "isn't confirmed" in page
    assert "Send the link again" in page
    assert "/keys/new/" not in page
    assert get(browser, "/keys/new/").status_code == 302


@pytest.mark.security("B-07")
def test_a_form_from_elsewhere_is_refused(developer: User, make_key: MakeKey, log_in: LogIn) -> None:
    key, _ = make_key()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = log_in(developer).cookies
    answer = strict.post(f"/keys/{key.pk}/revoke/", {}, secure=True, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "come from the portal" in answer.content.decode()
    assert APIKey.objects.get().revoked_at is None


@pytest.mark.parametrize(
    ("hours", "said"),
    [(1.5, "in 1 hour<"), (25.5, "in 25 hours<"), (6.5 * 24, "in 6 days<"), (8 * 24, None), (None, ">Never <")],
)
def test_an_expiry_within_a_week_says_how_near_it_is(
    browser: Client, make_key: MakeKey, hours: float | None, said: str | None
) -> None:
    make_key(expires_at=None if hours is None else timezone.now() + timedelta(hours=hours))
    page = re.sub(r"\s+", " ", get(browser, "/keys/").content.decode())
    assert (said in page) if said else ('class="amber"' not in page)
