"""The list of keys, and the page of one: who may see it, its secret revealed, the key revoked."""

import re
from datetime import timedelta

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
from tests.accounts.mailbox import get, post
from tests.apikeys.key_pages import browser, secrets_in
from tests.conftest import ORIGIN, LogIn, MakeKey, MakeUser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def test_pages_of_keys_are_for_people_who_are_logged_in(client: Client) -> None:
    own = (f"/keys/key_x/{part}" for part in ("", "edit/", "networks/", "revoke/"))
    for path in ("/keys/", "/keys/new/", *own):
        answer = get(client, path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/")


@pytest.mark.security("Z-01")
def test_somebody_elses_key_is_as_unknown_as_no_key(browser: Client, make_user: MakeUser, make_key: MakeKey) -> None:
    theirs, _ = make_key(owner=make_user("other@example.com"))
    secret = theirs.secrets.get()
    for key_id in (theirs.pk, "key_" + "0" * 22, "1", theirs.pk.lower()):
        for path in ("", "edit/", "networks/", "revoke/", "first-call/"):
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


def test_the_list_finds_filters_and_pages(browser: Client, make_key: MakeKey) -> None:
    for number in range(30):
        make_key(name=f"server {number:02}", environment="test" if number % 2 else "live")
    key, secret = make_key(name="the special one")
    services.revoke(key=key, reason="", origin=ORIGIN)

    def names(query: str) -> set[str]:
        return set(re.findall(r"<bdi>(.*?)</bdi>", get(browser, f"/keys/?{query}").content.decode()))

    assert len(names("")) == 25
    assert len(names("page=2")) == 5  # without the one that is revoked
    assert "Show 1 revoked key" in get(browser, "/keys/").content.decode()
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
    with django_assert_max_num_queries(18) as few:
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


@pytest.mark.parametrize(
    ("hours", "said"),
    [(1.5, "in 1 hour<"), (25.5, "in 25 hours<"), (6.5 * 24, "in 6 days<"), (8 * 24, None), (None, ">Never <")],
)
def test_an_expiry_within_a_week_says_how_near_it_is(
    browser: Client, make_key: MakeKey, hours: float | None, said: str | None
) -> None:
    make_key(expires_at=None if hours is None else timezone.now() + timedelta(hours=hours))
    APIKey.objects.update(created_at=timezone.now() - timedelta(days=90))
    page = re.sub(r"\s+", " ", get(browser, "/keys/").content.decode())
    assert (said in page) if said else ('class="amber"' not in page)
