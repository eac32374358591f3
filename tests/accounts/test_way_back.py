"""A POST that meets a log-in: one comes back to the page of the button, with what was typed, and presses once more."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib.admin.utils import quote
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts import drafts
from accounts.models import AttemptWindow, User
from accounts.sessions import SessionStore
from apikeys.forms import KeyForm, NewKeyForm, RevokeForm
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.authenticator_app import code_of
from tests.conftest import PASSWORD, MakeKey, MakeUser
from tokens.models import TokenFamily

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H23")]
COOKIE = "__Host-sessionid"
LOG_IN = "/accounts/login/"
PASSKEY = 4242
MACHINES = ("/api/", "/oauth/", "/.well-known/", "/gateway/", "/healthz", "/readyz", "/metrics")


class Browser:
    """Somebody's browser: it goes through the log-in page, and keeps its cookies."""

    def __init__(self, user: User, *, strict: bool = False) -> None:
        self.client = Client(enforce_csrf_checks=strict)
        self.user = user

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, secure=True, **more)

    def post(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> Any:
        return self.client.post(path, fields or {}, secure=True, **more)

    def log_in(self, user: User | None = None, at: str = LOG_IN) -> str:
        """Log in by the form and give the address that it leads to."""
        answer = self.post(at, {"login": (user or self.user).email, "password": PASSWORD})
        assert answer.status_code == 302, answer.content.decode()
        return str(answer["Location"])

    def confirmed(self, answer: Any) -> Any:
        """Give the page that comes in the end; confirm the password where it is asked for once more."""
        if answer.status_code == 302 and answer["Location"].startswith("/accounts/reauthenticate/"):
            answer = self.post(answer["Location"], {"password": PASSWORD})
        return self.get(answer["Location"], follow=True) if answer.status_code == 302 else answer

    def session(self) -> SessionStore:
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
    return unescape(answer.content.decode())


def next_of(answer: Any) -> str:
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
def key(operator: User, make_key: MakeKey) -> APIKey:
    """A key of the operator, who may open every page."""
    return make_key(owner=operator)[0]


# --- every POST view, signed out meanwhile ---


def every_page(patterns: list[URLPattern | URLResolver], values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Give each address that is not for machines, with something that exists in the place of each argument."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern).lstrip("^").rstrip("$").replace("\\Z", "")
        if isinstance(pattern, URLResolver):
            yield from every_page(pattern.url_patterns, values, route)
            continue
        named = re.sub(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)", partial(_value, values, route), route)
        path = "/" + re.sub(r"\(\?:.*?\)|[\\^$?*+]", "", named)
        if not path.startswith(MACHINES):
            yield path


def _value(values: dict[str, Any], route: str, found: re.Match[str]) -> str:
    return str(values[found[1] or found[2]](route))


@pytest.fixture
def pages(operator: User, key: APIKey) -> list[str]:
    """Every address of the portal, django-allauth and the admin, about things of the operator's."""
    session = UserSession.objects.create(user=operator, ip="192.0.2.1", session_key="s", user_agent="x")
    at = key.created_at
    family = TokenFamily.objects.create(
        user=operator, epoch=0, started_at=at, refreshed_at=at, expires_at=at, seal=b"x"
    )
    rows = {model: model._default_manager.first() for model in (User, APIKey, Scope, Event, TokenFamily)}
    ids = {f"{model._meta.app_label}/{model._meta.model_name}/": row.pk for model, row in rows.items() if row}
    values: dict[str, Callable[[str], str]] = {
        "key_id": lambda _: key.pk,
        "secret_id": lambda _: key.secrets.get().pk,
        "session_id": lambda _: str(session.pk),
        "family_id": lambda _: family.pk,
        "pk": lambda _: str(PASSKEY),
        "object_id": lambda route: quote(next((row for part, row in ids.items() if part in route), "1")),
        "code": lambda _: "revoked",
        **{name: lambda _: "x" for name in ("uidb36", "key", "app_label", "url", "content_type_id", "name")},
    }
    found = sorted(set(every_page(get_resolver().url_patterns, values)))
    assert len(found) > 70
    return found


@pytest.mark.sweep
@pytest.mark.once
def test_every_post_leads_through_the_log_in_to_a_page_that_says_what_to_do(operator: User, pages: list[str]) -> None:
    """No empty 405, no 404, nothing done by itself; a new view that only takes POST fails until it says its page."""
    lost, with_button = [], 0
    for path in pages:
        AttemptWindow.objects.all().delete()
        UserSession.objects.all().delete()  # each log-in looks through those of before
        browser = Browser(operator)
        turned_away = browser.post(path)
        if not turned_away.get("Location", "").startswith(LOG_IN + "?"):
            assert turned_away.status_code < 500, path
            continue
        assert browser.log_in(at=turned_away["Location"]) == next_of(turned_away), path
        with a_passkey(operator) if str(PASSKEY) in path else nullcontext():
            before = snapshot()
            answer = browser.confirmed(browser.get(next_of(turned_away)))
            assert snapshot() == before, path
            itself = browser.confirmed(browser.get(path))
            takes_post = "POST" in browser.client.options(path, secure=True).get("Allow", "POST")
        says_so = "Nothing has been done yet" in text_of(answer)
        with_button += says_so
        # An address without a page of its own has one elsewhere; one with a page shows it. Both say what to do.
        if itself.status_code == 405 or (itself.status_code == 200 and takes_post and not reads_only(itself, path)):
            lost += [] if (answer.status_code, says_so) == (200, True) else [path]
        else:
            assert (answer.status_code, answer.content != b"") == (itself.status_code, True), path
    assert lost == []
    assert with_button > 30


def reads_only(answer: Any, path: str) -> bool:
    """Tell whether an address leads elsewhere, or is never posted to: what no form of a page belongs to."""
    return bool(answer.request["PATH_INFO"] != path or answer["Content-Type"] != "text/html; charset=utf-8")


def snapshot() -> tuple[object, ...]:
    """What an action would change."""
    events = Event.objects.exclude(verb__in=["logged_in", "access_denied"]).count()
    keys = list(APIKey.objects.values("revoked_at", "rate_limit", "scopes", "name"))
    rest = [model._default_manager.count() for model in (APIKey, Scope, Authenticator, TokenFamily, User)]
    return (events, keys, rest)


@contextmanager
def a_passkey(user: User) -> Iterator[None]:
    """Give the user a passkey for a while: a log-in would ask for it."""
    data = {"name": "old", "credential": {}}
    passkey = Authenticator.objects.create(pk=PASSKEY, user=user, type="webauthn", data=data)
    yield
    passkey.delete()


def test_a_button_s_name_in_the_message_is_on_the_page_that_it_leads_to(desk: Browser, key: APIKey) -> None:
    secret = key.secrets.get()
    for path in (
        f"/keys/{key.pk}/secrets/{secret.pk}/reveal/",
        f"/keys/{key.pk}/revoke/",
        f"/keys/{key.pk}/edit/",
        "/keys/new/",
        "/accounts/password/change/",
        "/accounts/sessions/",
        "/admin/tokens/tokenfamily/find/",
        "/admin/credentials/scope/add/",
    ):
        sign_out_elsewhere(desk.user)
        answer = desk.post(path)
        page = text_of(desk.get(desk.log_in(at=answer["Location"])))
        [button] = re.findall(r"You were signed out\. Nothing has been done yet\. Press “(.+?)” again", page)
        assert re.search(rf">{button}(<|\.)|value=\"{button}\"", page), path


# --- what was typed ---

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


def checked(page: str, name: str) -> list[str]:
    return re.findall(rf'<input type="(?:checkbox|radio)" name="{name}" value="([^"]+)"[^>]* checked', page)


def assert_the_form_is_filled_in(page: str) -> None:
    for part in SHOWN:
        assert part in page
    assert checked(page, "scopes") == ["reports:write"]
    assert checked(page, "environment") == ["test"]
    assert re.search(r'<option value="date" selected>', page)
    assert re.search(r'name="show_once"[^>]* checked', page)
    assert "t" * 43 not in page


def test_what_was_typed_into_a_new_key_is_there_again_unsaved(browser: Browser) -> None:
    sign_out_elsewhere(browser.user)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert "Zahlung" not in answer["Location"]
    log_in = text_of(browser.get(answer["Location"]))
    assert "You were signed out." in log_in
    assert "Zahlung" not in log_in
    page = browser.get(browser.log_in(at=answer["Location"]))
    assert page.status_code == 200
    assert_the_form_is_filled_in(page.content.decode())
    assert "What you typed is still here but has not been sent. Press “Create key” again" in text_of(page)
    assert not APIKey.objects.exists()
    assert "Zahlung" not in text_of(browser.get("/keys/new/"))  # once


def test_what_was_typed_into_an_edit_is_there_again_after_signing_in_and_after_confirming(
    browser: Browser, make_key: MakeKey
) -> None:
    key, _ = make_key(name="before", scopes=["reports:read"])
    path = f"/keys/{key.pk}/edit/"
    fields = {name: NEW_KEY[name] for name in ("name", "scopes", "expiry", "expiry_date")}
    for leave in (sign_out_elsewhere, lambda _: age(browser)):
        leave(browser.user)
        answer = browser.post(path, {**fields, "networks": ""})
        assert next_of(answer) == path
        if answer["Location"].startswith(LOG_IN):
            browser.log_in(at=answer["Location"])
        else:
            assert browser.post(answer["Location"], {"password": PASSWORD})["Location"] == path
        page = browser.get(path).content.decode()
        assert SHOWN[0] in page
        assert SHOWN[1] in page
        assert checked(page, "scopes") == ["reports:write"]  # the one that was unticked stays unticked
        assert APIKey.objects.get().name == "before"
    assert "You were asked to confirm it's you." in unescape(page)


def test_the_reason_of_a_revocation_and_its_confirmation_are_there_again(browser: Browser, make_key: MakeKey) -> None:
    key, _ = make_key()
    sign_out_elsewhere(browser.user)
    answer = browser.post(f"/keys/{key.pk}/revoke/", {"reason": "leaked in a log", "typed": "billing server"})
    page = text_of(browser.get(browser.log_in(at=answer["Location"])))
    assert 'value="leaked in a log"' in page
    assert "Press “Revoke for good” again" in page
    assert APIKey.objects.get().revoked_at is None


def test_what_was_typed_into_library_forms_is_there_again(browser: Browser, developer: User) -> None:
    sign_out_elsewhere(developer)
    answer = browser.post("/accounts/email/", {"email": "new@example.com"})
    assert 'value="new@example.com"' in text_of(browser.get(browser.log_in(at=answer["Location"])))
    sign_out_elsewhere(developer)
    answer = browser.post(f"/accounts/2fa/webauthn/keys/{PASSKEY}/edit/", {"name": "desk lamp"})
    browser.log_in(at=answer["Location"])
    with a_passkey(developer):
        assert 'value="desk lamp"' in text_of(browser.confirmed(browser.get(next_of(answer))))
    age(browser)
    answer = browser.post("/accounts/2fa/webauthn/add/", {"name": "phone", "credential": "{}"})
    assert answer.status_code == 302
    assert 'value="phone"' in text_of(browser.confirmed(answer))


def test_what_an_operator_typed_is_there_again(desk: Browser, key: APIKey) -> None:
    scope = {"name": "invoices:read", "description": "Read <invoices>", "restricted": "on"}
    sign_out_elsewhere(desk.user)
    page = desk.get(desk.log_in(at=desk.post("/admin/credentials/scope/add/", scope)["Location"])).content.decode()
    assert 'value="invoices:read"' in page
    assert 'value="Read &lt;invoices&gt;"' in page
    assert re.search(r'name="restricted"[^>]* checked', page)
    assert "Press “Save” again" in page
    for action, field in (("limit_keys", "limit"), ("revoke_keys", "reason")):
        sign_out_elsewhere(desk.user)
        fields = {"action": action, "_selected_action": key.pk, field: "7 per <day>"}
        answer = desk.post("/admin/apikeys/apikey/?q=billing", fields)
        page = desk.get(desk.log_in(at=answer["Location"])).content.decode()
        assert 'value="7 per &lt;day&gt;"' in page
        assert f'name="_selected_action" value="{key.pk}"' in page
        assert "has not been sent. Press the button again" in page
    assert snapshot()[1] == [{"revoked_at": None, "rate_limit": "", "scopes": "", "name": "billing server"}]


@pytest.mark.parametrize("action", ["deactivate", "unconfirm", "end_tokens"])
def test_an_action_that_asks_nothing_is_not_done_on_the_way_back(desk: Browser, developer: User, action: str) -> None:
    sign_out_elsewhere(desk.user)
    answer = desk.post("/admin/accounts/user/", {"action": action, "_selected_action": developer.pk})
    page = desk.get(desk.log_in(at=answer["Location"]))
    assert "Nothing has been done yet" in text_of(page)
    assert User.objects.get(pk=developer.pk).auth_epoch == 0


def test_a_draft_of_an_action_that_asks_nothing_only_shows_the_list(desk: Browser, key: APIKey) -> None:
    sign_out_elsewhere(desk.user)
    answer = desk.post("/admin/apikeys/apikey/", {"action": "get_urls", "_selected_action": key.pk})
    page = desk.get(desk.log_in(at=answer["Location"]))
    assert page.status_code == 200
    assert "Nothing has been done yet. Press" in text_of(page)


# --- never what must not be kept ---


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


# --- for whom, where, and for how long ---


def test_another_person_on_the_same_browser_does_not_get_it(browser: Browser, make_user: MakeUser) -> None:
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


def test_it_goes_from_the_other_person_s_session_with_their_first_page_whatever_that_is(
    browser: Browser, make_user: MakeUser
) -> None:
    sign_out_elsewhere(browser.user)
    browser.post("/keys/new/", NEW_KEY)
    browser.log_in(make_user("other@example.com"))
    browser.get("/account/")
    assert drafts.KEY not in browser.session()


def test_where_nobody_was_logged_in_before_it_is_for_whoever_logs_in(developer: User, scopes: list[Scope]) -> None:
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


def test_it_comes_back_at_its_own_address_only(browser: Browser, make_key: MakeKey) -> None:
    key, _ = make_key()
    sign_out_elsewhere(browser.user)
    answer = browser.post("/keys/new/", NEW_KEY)
    browser.log_in(at=answer["Location"])
    for path in ("/keys/", "/account/", f"/keys/{key.pk}/edit/", f"/keys/{key.pk}/revoke/"):
        assert "Zahlung" not in text_of(browser.get(path)), path
    assert "Zahlung" in text_of(browser.get("/keys/new/"))


@pytest.mark.parametrize(("later", "kept"), [(3599, True), (3601, False)])
def test_it_is_kept_for_an_hour(browser: Browser, time_machine: Any, later: int, kept: bool) -> None:
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


def test_what_was_typed_when_a_limit_struck_is_there_again_for_somebody_who_is_logged_in(browser: Browser) -> None:
    typed = {"email": "typed@example.com"}
    answers = [browser.post("/accounts/email/", typed) for _ in range(6)]
    assert answers[-1].status_code == 429
    assert 'href="/accounts/email/">Back to the page' in text_of(answers[-1])
    page = text_of(browser.get("/accounts/email/"))
    assert "There were too many attempts. What you typed is still here" in page
    assert 'value="typed@example.com"' in page


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


# --- pure actions ---


def test_reveal_after_signing_out_is_back_at_the_key_and_pressed_once_more(browser: Browser, make_key: MakeKey) -> None:
    key, secret = make_key()
    path = f"/keys/{key.pk}/secrets/{key.secrets.get().pk}/reveal/"
    sign_out_elsewhere(browser.user)
    answer = browser.post(path)
    assert next_of(answer) == f"/keys/{key.pk}/#secrets"
    page = text_of(browser.get(browser.log_in(at=answer["Location"])))
    assert "You were signed out. Nothing has been done yet. Press “Reveal” again." in page
    assert secret not in page
    assert not Event.objects.filter(verb="key_revealed").exists()
    assert secret in text_of(browser.post(path))


def test_the_message_is_said_once(browser: Browser) -> None:
    sign_out_elsewhere(browser.user)
    browser.log_in(at=browser.post("/account/apps/end/")["Location"])
    assert "Nothing has been done yet" in text_of(browser.get("/account/apps/"))
    assert "Nothing has been done yet" not in text_of(browser.get("/account/apps/"))


# --- other ways out of a session ---


def test_a_session_that_was_idle_for_too_long(browser: Browser, time_machine: Any) -> None:
    time_machine.move_to(1_800_000_000)
    browser.log_in()
    time_machine.move_to(1_800_000_000 + 31 * 60)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_session_at_its_absolute_end(browser: Browser, settings: Any) -> None:
    settings.KEYPORTAL_SESSION_LIFETIME = 0
    answer = browser.post("/keys/new/", NEW_KEY)
    settings.KEYPORTAL_SESSION_LIFETIME = 3600
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_log_out_in_another_tab(browser: Browser) -> None:
    browser.post("/accounts/logout/")
    answer = browser.post("/keys/new/", NEW_KEY)
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_log_in_with_a_second_factor_leads_back_too(browser: Browser, developer: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(developer, secret)
    sign_out_elsewhere(developer)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert browser.log_in(at=answer["Location"]) == "/accounts/2fa/authenticate/"
    back = browser.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert back["Location"] == "/keys/new/"
    assert_the_form_is_filled_in(browser.get("/keys/new/").content.decode())


def test_a_second_factor_that_came_too_late_says_so(browser: Browser) -> None:
    browser.post("/accounts/logout/")
    answer = browser.post("/accounts/2fa/authenticate/", {"code": "123456"}, follow=True)
    assert "Your log-in took too long" in text_of(answer)
    assert answer.redirect_chain[-1][0].endswith(LOG_IN)


def test_a_confirmation_of_the_password_by_somebody_who_was_signed_out_leads_on(browser: Browser) -> None:
    sign_out_elsewhere(browser.user)
    answer = browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/account/history/"})
    assert next_of(answer) == "/account/history/"
    elsewhere = browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "https://evil.example/"})
    assert next_of(elsewhere) == reverse("keys:list")


def test_machines_are_not_led_to_a_log_in(client: Client) -> None:
    answer = client.post("/api/v1/verify", {}, secure=True)
    assert answer.status_code == 401
    assert "__Host-users" not in answer.cookies


def test_a_session_that_is_older_than_the_code_is_read(browser: Browser) -> None:
    session = browser.session()
    session[drafts.KEY] = [{"path": "/keys/new/", "was": "another shape"}]
    session.save()
    assert browser.get("/keys/new/").status_code == 200
    assert drafts.KEY not in browser.session()


def test_a_good_answer_to_a_machine_looks_for_no_session(client: Client, make_key: MakeKey) -> None:
    _, secret = make_key()
    for _ in range(2):
        answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200
