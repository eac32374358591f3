"""Cookies of sessions: their flags, what the database holds of them, and when they end."""

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import User
from accounts.services import deactivate_user
from accounts.sessions import STARTED, SessionStore, session_digest
from tests.accounts.log_in_form import is_logged_in, log_in_by_form
from tests.accounts.mailbox import post
from tests.conftest import ORIGIN

pytestmark = pytest.mark.django_db
COOKIE = "__Host-sessionid"


@pytest.mark.security("S-01")
def test_the_cookie_is_new_at_log_in_and_the_database_holds_only_its_digest(client: Client, developer: User) -> None:
    client.cookies[COOKIE] = "chosen-by-somebody-else-0123456789"
    log_in_by_form(client)
    cookie = client.cookies[COOKIE]
    assert cookie.value != "chosen-by-somebody-else-0123456789"
    keys = set(Session.objects.values_list("session_key", flat=True))
    assert session_digest(cookie.value) in keys
    assert cookie.value not in str(list(Session.objects.values()))
    thief = Client()
    thief.cookies[COOKIE] = session_digest(cookie.value)
    assert is_logged_in(client)
    assert not is_logged_in(thief)


@pytest.mark.security("B-01")
def test_cookies_have_the_host_prefix_and_their_flags(client: Client, developer: User) -> None:
    log_in_by_form(client)
    for name in (COOKIE, "__Host-csrftoken", "__Host-device"):
        cookie = client.cookies[name]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
        assert cookie["domain"] == ""


@pytest.mark.sweep
@pytest.mark.security("S-02")
def test_a_session_ends_after_half_an_hour_of_nothing_and_after_twelve_hours_of_anything(
    client: Client, developer: User, time_machine: Any
) -> None:
    start = 1_800_000_000
    time_machine.move_to(start)
    log_in_by_form(client)
    time_machine.move_to(start + 29 * 60)
    assert is_logged_in(client)
    time_machine.move_to(start + 29 * 60 + 31 * 60)
    assert not is_logged_in(client)
    time_machine.move_to(start)
    log_in_by_form(client)
    for minutes in range(0, 12 * 60, 20):
        time_machine.move_to(start + minutes * 60)
        assert is_logged_in(client)
    time_machine.move_to(start + 12 * 3600 + 60)
    assert not is_logged_in(client)


def test_a_session_without_the_note_of_its_log_in_is_over(client: Client, developer: User) -> None:
    """No log-in of the portal's own has made it."""
    log_in_by_form(client)
    assert is_logged_in(client)
    session = SessionStore.of_cookie(client.cookies[COOKIE].value)
    del session[STARTED]
    session.save()
    assert not is_logged_in(client)


@pytest.mark.security("S-03")
def test_a_cookie_is_worth_nothing_after_log_out_or_deactivation(client: Client, developer: User) -> None:
    log_in_by_form(client)
    old = client.cookies[COOKIE].value
    answer = post(client, "/accounts/logout/")
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    client.cookies[COOKIE] = old
    assert not is_logged_in(client)
    log_in_by_form(client)
    assert is_logged_in(client)
    deactivate_user(user=developer, origin=ORIGIN)
    assert not is_logged_in(client)
