"""A POST that meets a log-in: one comes back to the page of the button, and presses once more."""

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import AttemptWindow, User
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.way_back import (
    LOG_IN,
    PASSKEY,
    Browser,
    a_passkey,
    browser,
    desk,
    next_of,
    operators_key,
    sign_out_elsewhere,
    text_of,
)
from tests.conftest import PASSWORD, MakeKey
from tokens.models import TokenFamily

__all__ = ["browser", "desk", "operators_key"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H23")]
MACHINES = ("/api/", "/oauth/", "/.well-known/", "/gateway/", "/healthz", "/readyz", "/metrics")


def every_page(patterns: list[URLPattern | URLResolver], values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield each address that is not for machines, with something that exists in the place of each argument."""
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
def pages(operator: User, operators_key: APIKey) -> list[str]:
    """Every address of the portal, django-allauth and the admin, about things of the operator's."""
    session = UserSession.objects.create(user=operator, ip="192.0.2.1", session_key="s", user_agent="x")
    at = operators_key.created_at
    family = TokenFamily.objects.create(
        user=operator, epoch=0, started_at=at, refreshed_at=at, expires_at=at, seal=b"x"
    )
    rows = {model: model._default_manager.first() for model in (User, APIKey, Scope, Event, TokenFamily)}
    ids = {f"{model._meta.app_label}/{model._meta.model_name}/": row.pk for model, row in rows.items() if row}
    ids["apikeys/keypolicy/"] = "live"
    values: dict[str, Callable[[str], str]] = {
        "key_id": lambda _: operators_key.pk,
        "secret_id": lambda _: operators_key.secrets.get().pk,
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
            answer = browser.follow(browser.get(next_of(turned_away)))
            assert snapshot() == before, path
            itself = browser.follow(browser.get(path))
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
    """Return whether an address leads elsewhere, or is never posted to: what no form of a page belongs to."""
    return bool(answer.request["PATH_INFO"] != path or answer["Content-Type"] != "text/html; charset=utf-8")


def snapshot() -> tuple[object, ...]:
    """What an action would change."""
    events = Event.objects.exclude(verb__in=["logged_in", "access_denied"]).count()
    keys = list(APIKey.objects.values("revoked_at", "rate_limit", "scopes", "name"))
    rest = [model._default_manager.count() for model in (APIKey, Scope, Authenticator, TokenFamily, User)]
    return (events, keys, rest)


def test_a_button_s_name_in_the_message_is_on_the_page_that_it_leads_to(desk: Browser, operators_key: APIKey) -> None:
    secret = operators_key.secrets.get()
    for path in (
        f"/keys/{operators_key.pk}/secrets/{secret.pk}/reveal/",
        f"/keys/{operators_key.pk}/revoke/",
        f"/keys/{operators_key.pk}/edit/",
        f"/keys/{operators_key.pk}/networks/",
        f"/keys/{operators_key.pk}/networks/check/",
        "/keys/new/",
        "/accounts/password/change/",
        "/accounts/sessions/",
        "/admin/tokens/tokenfamily/find/",
        "/admin/credentials/scope/add/",
        "/admin/apikeys/keypolicy/live/change/",
    ):
        sign_out_elsewhere(desk.user)
        answer = desk.post(path)
        page = text_of(desk.get(desk.log_in(at=answer["Location"])))
        [button] = re.findall(r"You were signed out\. Nothing has been done yet\. Press “(.+?)” again", page)
        assert re.search(rf">{button}(<|\.)|value=\"{button}\"", page), path


@pytest.mark.parametrize("action", ["deactivate", "unconfirm", "end_tokens"])
def test_an_action_that_asks_nothing_is_not_done_on_the_way_back(desk: Browser, developer: User, action: str) -> None:
    sign_out_elsewhere(desk.user)
    answer = desk.post("/admin/accounts/user/", {"action": action, "_selected_action": developer.pk})
    page = desk.get(desk.log_in(at=answer["Location"]))
    assert "Nothing has been done yet" in text_of(page)
    assert User.objects.get(pk=developer.pk).auth_epoch == 0


def test_a_draft_of_an_action_that_asks_nothing_only_shows_the_list(desk: Browser, operators_key: APIKey) -> None:
    sign_out_elsewhere(desk.user)
    answer = desk.post("/admin/apikeys/apikey/", {"action": "get_urls", "_selected_action": operators_key.pk})
    page = desk.get(desk.log_in(at=answer["Location"]))
    assert page.status_code == 200
    assert "Nothing has been done yet. Press" in text_of(page)


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


def test_a_good_answer_to_a_machine_looks_for_no_session(client: Client, make_key: MakeKey) -> None:
    _, secret = make_key()
    for _ in range(2):
        answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200
