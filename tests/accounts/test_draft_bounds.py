"""Drafts of forms: never a secret, for one person, at one address, for an hour, and never many."""

import json
from typing import Any

import pytest
from django import forms
from django.contrib.sessions.models import Session
from django.test import Client

from accounts import drafts
from accounts.models import User
from apikeys.pages.forms import KeyForm, NewKeyForm
from apikeys.pages.state_forms import RevokeForm
from credentials.scopes.models import Scope
from tests.accounts.way_back import (
    LOG_IN,
    NEW_KEY,
    Browser,
    age,
    assert_the_form_is_filled_in,
    browser,
    next_of,
    sign_out_elsewhere,
    text_of,
)
from tests.conftest import MakeKey, MakeUser

__all__ = ["browser"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H23"), pytest.mark.sweep]  # many strangers


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/accounts/password/change/", {"oldpassword": "hush-old", "password1": "hush-new", "password2": "hush-new"}),
        ("/accounts/2fa/totp/activate/", {"code": "hush-123456"}),
        ("/accounts/reauthenticate/", {"password": "hush"}),
        ("/admin/tokens/tokenfamily/find/", {"secret": "hush"}),
        ("/keys/new/", {"name": "x", "csrfmiddlewaretoken": "hush", "form_token": "hush", "unknown": "hush"}),
        ("/keys/new/", {"name": "hush kp_live_" + "7" * 49, "scopes": ["kp_test_" + "h" * 49]}),
        ("/keys/new/", {"name": "hush eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2ln"}),
    ],
)
def test_secrets_are_never_kept(browser: Browser, path: str, fields: dict[str, Any]) -> None:
    sign_out_elsewhere(browser.user)
    answer = browser.post(path, fields)
    assert "hush" not in answer["Location"]
    for session in Session.objects.all():
        assert "hush" not in json.dumps(session.get_decoded())
        assert "7777" not in json.dumps(session.get_decoded())
    assert "hush" not in text_of(browser.get(browser.log_in(at=answer["Location"]), follow=True))


def test_no_keepable_field_is_a_password_a_file_or_a_hidden_one() -> None:
    for form in (KeyForm, NewKeyForm, RevokeForm):
        fields = {**form.base_fields}
        assert set(form.keepable) <= set(fields)
        for name in form.keepable:
            assert not isinstance(fields[name].widget, (forms.PasswordInput, forms.HiddenInput, forms.FileInput))


def test_a_draft_holds_what_its_form_declares_and_nothing_else_of_the_request(browser: Browser) -> None:
    sign_out_elsewhere(browser.user)
    browser.post("/keys/new/?name=in-the-query", {**NEW_KEY, "csrfmiddlewaretoken": "c"}, headers={"X-Own": "header"})
    [kept] = browser.session()[drafts.KEY]
    assert set(kept) == {"path", "why", "press", "fields", "author", "at"}
    assert set(kept["fields"]) == set(NEW_KEY) - {"form_token"}
    assert kept["author"] == browser.user.pk


def test_what_is_too_long_is_not_kept_and_all_drafts_together_are_bounded(browser: Browser, make_key: MakeKey) -> None:
    keys = [make_key()[0] for _ in range(6)]
    sign_out_elsewhere(browser.user)
    browser.post("/keys/new/", {"name": "x", "networks": "ü" * 4000})
    assert not any(kept["fields"] for kept in browser.session()[drafts.KEY])
    for key in keys:
        browser.post(f"/keys/{key.pk}/edit/", {"name": key.pk, "networks": "1" * 4000})
        assert len(json.dumps(browser.session()[drafts.KEY])) <= 16 * 1024
    last = browser.post(f"/keys/{keys[-1].pk}/edit/", {"name": "the newest", "networks": "1" * 4000})
    assert "the newest" in text_of(browser.get(browser.log_in(at=last["Location"])))


def test_another_user_of_the_browser_does_not_get_the_draft(browser: Browser, make_user: MakeUser) -> None:
    other = make_user("other@example.com")
    sign_out_elsewhere(browser.user)
    answer = browser.post("/keys/new/", NEW_KEY)
    page = browser.get(browser.log_in(other, at=answer["Location"]))
    assert page.status_code == 200
    assert "Zahlung" not in text_of(page)
    assert "Nothing has been done yet" not in text_of(page)
    assert drafts.KEY not in browser.session()
    browser.post("/accounts/logout/")
    browser.log_in()
    assert "Zahlung" not in text_of(browser.get("/keys/new/"))


def test_a_draft_leaves_another_users_session_with_their_first_page(browser: Browser, make_user: MakeUser) -> None:
    sign_out_elsewhere(browser.user)
    browser.post("/keys/new/", NEW_KEY)
    browser.log_in(make_user("other@example.com"))
    browser.get("/account/")
    assert drafts.KEY not in browser.session()


def test_a_draft_of_a_stranger_is_for_the_user_who_logs_in(developer: User, scopes: list[Scope]) -> None:
    browser = Browser(developer)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_cookie_that_names_somebody_else_is_not_believed(browser: Browser, make_user: MakeUser) -> None:
    other = make_user("other@example.com")
    named = browser.client.cookies["__Host-users"].value
    assert other.pk not in named
    browser.client.cookies["__Host-users"] = named.replace(browser.user.pk, other.pk)
    sign_out_elsewhere(browser.user)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert browser.session()[drafts.KEY][0]["author"] == ""  # a cookie that was tampered with is no cookie
    cookie = browser.client.cookies["__Host-users"]
    assert "Zahlung" in text_of(browser.get(browser.log_in(at=answer["Location"])))
    assert cookie.value != browser.client.cookies["__Host-users"].value


def test_the_cookie_has_its_flags(browser: Browser) -> None:
    cookie = browser.client.cookies["__Host-users"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")


def test_a_draft_comes_back_at_its_own_address_only(browser: Browser, make_key: MakeKey) -> None:
    key, _ = make_key()
    sign_out_elsewhere(browser.user)
    answer = browser.post("/keys/new/", NEW_KEY)
    browser.log_in(at=answer["Location"])
    for path in ("/keys/", "/account/", f"/keys/{key.pk}/edit/", f"/keys/{key.pk}/revoke/"):
        assert "Zahlung" not in text_of(browser.get(path)), path
    assert "Zahlung" in text_of(browser.get("/keys/new/"))


@pytest.mark.parametrize(("later", "kept"), [(3599, True), (3601, False)])
def test_a_draft_is_kept_for_an_hour(browser: Browser, time_machine: Any, later: int, kept: bool) -> None:
    start = 1_800_000_000
    time_machine.move_to(start)
    age(browser)
    browser.log_in()
    sign_out_elsewhere(browser.user)
    browser.post("/keys/new/", NEW_KEY)
    for moment in range(0, later, 1500):  # somebody looks now and then, or the session would be over
        time_machine.move_to(start + moment)
        browser.get(LOG_IN)
    time_machine.move_to(start + later)
    browser.log_in()
    assert ("Zahlung" in text_of(browser.get("/keys/new/"))) is kept


def test_a_button_takes_no_typed_text_away(browser: Browser) -> None:
    sign_out_elsewhere(browser.user)
    browser.post("/keys/new/", NEW_KEY)
    browser.post("/keys/new/")
    browser.post("/account/apps/end/")
    browser.log_in()
    assert "Zahlung" in text_of(browser.get("/keys/new/"))
    assert "End all" in text_of(browser.get("/account/apps/"))


def test_a_limit_does_no_more_work_for_a_stranger_than_it_must(developer: User) -> None:
    browser = Browser(developer)
    answers = [browser.post("/accounts/password/reset/", {"email": "x"}) for _ in range(3)]
    answers += [browser.post("/accounts/password/reset/", {"email": "x@example.com"}) for _ in range(8)]
    assert answers[-1].status_code == 429
    assert 'href="/accounts/password/reset/">Back to the page' in text_of(answers[-1])
    assert not Session.objects.exists()


def test_strangers_can_not_fill_the_table_of_sessions(browser: Browser) -> None:
    for _ in range(80):
        Client().post("/keys/new/", NEW_KEY, secure=True)
    assert Session.objects.count() <= 61
    stranger = Client().post("/keys/new/", NEW_KEY, secure=True)
    assert next_of(stranger) == "/keys/new/"  # the way back is there all the same


def test_a_session_that_is_older_than_the_code_is_read(browser: Browser) -> None:
    session = browser.session()
    session[drafts.KEY] = [{"path": "/keys/new/", "was": "another shape"}]
    session.save()
    assert browser.get("/keys/new/").status_code == 200
    assert drafts.KEY not in browser.session()
