"""Denied access and refused actions leave an event, once in a while and never with what was pasted."""

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db import DatabaseError
from django.test import Client

from accounts.attempts import AttemptLimit
from accounts.models import User
from audit.models import Event
from keyportal.errors.denied import REFUSED
from tests.conftest import LogIn, MakeKey, MakeUser
from tests.keyportal.rights import grant
from tests.rows import rewrite

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H31")]
THREE_EVER = "3 per 30 years"  # a window that does not end during a test


def events(*verbs: str) -> list[Event]:
    """Return the events of these verbs, oldest first."""
    return list(Event.objects.filter(verb__in=verbs).order_by("id"))


def test_who_is_denied_is_on_the_record_with_the_route_and_never_the_path(log_in: LogIn, developer: User) -> None:
    browser = log_in(developer)
    assert browser.get("/admin/apikeys/apikey/kp_live_pasted/change/?q=kp_live_pasted", secure=True).status_code == 403
    [event] = events("access_denied")
    assert (event.actor, event.subject_id) == (f"user:{developer.pk}", developer.pk)
    assert event.details == {"route": "/admin/apikeys/apikey/<path:object_id>/change/"}
    assert event.address
    assert "Access denied" in browser.get("/account/history/", secure=True).content.decode()


def test_denied_access_is_recorded_once_in_a_while_and_for_each_route(log_in: LogIn, developer: User) -> None:
    browser = log_in(developer)
    for _ in range(3):
        for path in (
            "/admin/",
            "/admin/accounts/user/",
            "/admin/accounts/user/x/change/",
            "/admin/accounts/user/y/change/",
        ):
            for method in (browser.get, browser.post):
                assert method(path, secure=True).status_code == 403
    assert len(events("access_denied")) == 3
    assert events("action_refused") == []  # they are no operator


def test_strangers_and_machines_leave_no_such_event(client: Client, make_key: MakeKey) -> None:
    _, secret = make_key()
    client.get("/admin/", secure=True)
    answer = client.post(
        "/api/v1/verify",
        '{"credential": "x"}',
        "application/json",
        secure=True,
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 403
    assert events("access_denied", "action_refused") == []


@pytest.fixture
def viewer(log_in: LogIn, make_user: MakeUser) -> Client:
    """An operator who may look at keys and scopes, and do nothing."""
    user = make_user("viewer@example.com")
    rewrite(user, is_staff=True)
    rights = ("apikeys.view_apikey", "credentials.view_scope", "tokens.view_tokenfamily")
    return log_in(grant(user, *rights))


def test_every_refused_action_of_an_operator_is_on_the_record(viewer: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    keys, scope = "/admin/apikeys/apikey/", "/admin/credentials/scope/"
    for path, form, details in (
        (
            keys,
            {"action": "revoke_keys", "_selected_action": key.pk},
            {"action": "revoke_keys", "model": "apikeys.apikey"},
        ),
        (keys, {"action": "kp_live_pasted"}, {"action": "unknown", "model": "apikeys.apikey"}),
        (keys, {"action": ["", "delete_selected"]}, {"action": "delete_selected", "model": "apikeys.apikey"}),
        (f"{scope}add/", {"name": "a:b", "description": "x"}, {}),
        (f"{scope}credentials_3Averify/change/", {"description": "x"}, {}),
        (f"{scope}credentials_3Averify/delete/", {"post": "yes"}, {}),
        (f"{keys}{quote(key.pk)}/change/", {"name": "x"}, {}),
    ):
        for _ in range(2):
            assert viewer.post(path, form, secure=True).status_code == 403
        newest = events("action_refused")[-2:]
        assert {event.actor for event in newest} == {f"user:{User.objects.get(email='viewer@example.com').pk}"}
        assert all(event.details.items() >= details.items() for event in newest)
        assert all(
            "<" in event.details["route"] or event.details["route"] in (keys, f"{scope}add/") for event in newest
        )
    assert len(events("action_refused")) == 14
    assert "kp_live_pasted" not in str(list(Event.objects.values()))


def test_an_operator_can_not_fill_the_trail_by_being_refused(
    viewer: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key()
    monkeypatch.setattr("keyportal.errors.denied.REFUSED", AttemptLimit(REFUSED.setting, fixed=THREE_EVER))
    for _ in range(6):
        viewer.post("/admin/apikeys/apikey/", {"action": "revoke_keys"}, secure=True)
    assert len(events("action_refused")) == 3
    assert REFUSED.rate.amount <= 100


def test_a_refusal_is_answered_though_it_can_not_be_recorded(
    log_in: LogIn, developer: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("read only")

    browser = log_in(developer)
    monkeypatch.setattr("keyportal.errors.denied.record_event", broken)
    assert browser.get("/admin/", secure=True).status_code == 403
    assert "could not be recorded" in caplog.text
