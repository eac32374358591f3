"""What operators can do, what they can't, and what developers see of it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.usage.models import Usage
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db
KEYS = "/admin/apikeys/apikey/"
USERS = "/admin/accounts/user/"
FIND = "/admin/tokens/tokenfamily/find/"


@pytest.fixture
def desk(log_in: Callable[..., Client], operator: User) -> Client:
    """An operator's browser."""
    return log_in(operator)


def act(desk: Client, path: str, action: str, *ids: str, **fields: Any) -> Any:
    return desk.post(path, {"action": action, "_selected_action": ids, **fields}, secure=True, follow=True)


@pytest.mark.security("Z-02")
def test_the_admin_is_for_operators_and_its_log_in_is_the_portals(
    log_in: Callable[..., Client], developer: User
) -> None:
    anonymous = Client().get("/admin/", secure=True)
    assert anonymous["Location"].startswith("/admin/login/")
    assert Client().get(anonymous["Location"], secure=True)["Location"].startswith("/accounts/login/")
    browser = log_in(developer)
    for path in ("/admin/", KEYS, USERS, "/admin/audit/event/", FIND, "/admin/login/"):
        assert browser.get(path, secure=True, follow=True).status_code == 403


@pytest.mark.parametrize("random", ["0" * 22, "3A" + "0" * 20])  # the admin's addresses mean ":" by "_3A"
def test_keys_are_found_by_owner_hint_and_pasted_secret(
    desk: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, random: str
) -> None:
    monkeypatch.setattr("apikeys.models.keys.new_id", lambda kind: f"{kind}_{random}")
    key, secret = make_key(name="billing")
    for query in (key.pk, "billing", "dev@example.com", secret[-4:]):
        assert key.pk in desk.get(f"{KEYS}?q={query}", secure=True).content.decode()
    assert FIND in desk.get(KEYS, secure=True).content.decode()
    found = desk.post(FIND, {"credential": f" {secret}\n"}, secure=True).content.decode()
    address = f"{KEYS}{quote(key.pk)}/change/"
    assert address in found
    page = desk.get(address, secure=True).content.decode()
    assert secret not in found + page
    assert f"kp_live_…{secret[-4:]}" in page


def test_keys_are_revoked_in_bulk_after_being_named_once(desk: Client, make_key: MakeKey) -> None:
    one, other = make_key(name="one")[0], make_key(name="other")[0]
    hour = timezone.now() - timedelta(hours=3)
    Usage.objects.create(credential=one.pk, hour=hour, entry_point="api", outcome="accepted", count=1234)
    asked = act(desk, KEYS, "revoke_keys", one.pk, other.pk).content.decode()
    assert one.pk in asked
    assert other.pk in asked
    assert "1,234 calls in the last 24 hours" in asked
    assert asked.count("no calls counted in the last 24 hours") == 1
    assert not APIKey.objects.exclude(revoked_at=None).exists()
    act(desk, KEYS, "revoke_keys", one.pk, other.pk, reason="leaked in a log")
    assert set(APIKey.objects.values_list("revoked_reason", flat=True)) == {"leaked in a log"}
    assert Event.objects.filter(verb="key_revoked").count() == 2


@pytest.mark.parametrize("state", ["active", "paused", "expired", "revoked"])
def test_keys_are_filtered_by_state(desk: Client, make_key: MakeKey, state: str) -> None:
    key, _ = make_key()
    shown = key.pk in desk.get(f"{KEYS}?state={state}", secure=True).content.decode()
    assert shown is (state == "active")


def test_a_key_is_not_made_edited_or_deleted_in_the_admin(desk: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    assert desk.get(f"{KEYS}add/", secure=True).status_code == 403
    assert desk.post(f"{KEYS}{key.pk}/delete/", {"post": "yes"}, secure=True).status_code == 403
    assert desk.post(f"{KEYS}{quote(key.pk)}/change/", {"name": "changed"}, secure=True).status_code == 403
    assert APIKey.objects.get().name == "billing server"


def test_a_key_that_was_tampered_with_is_shown_as_such(desk: Client, make_key: MakeKey) -> None:
    make_key()
    assert 'alt="False"' not in desk.get(KEYS, secure=True).content.decode()
    APIKey.objects.update(scopes="everything")
    assert 'alt="False"' in desk.get(KEYS, secure=True).content.decode()


@pytest.mark.parametrize(
    ("action", "field", "before", "after", "verb"),
    [
        ("unconfirm", "is_confirmed", True, False, "email_unconfirmed"),
        ("deactivate", "is_active", True, False, "user_deactivated"),
        ("end_tokens", "auth_epoch", 0, 1, "tokens_ended"),
    ],
)
def test_users_are_changed_by_verbs(
    desk: Client, developer: User, action: str, field: str, before: Any, after: Any, verb: str
) -> None:
    assert getattr(User.objects.get(pk=developer.pk), field) == before
    act(desk, USERS, action, developer.pk)
    assert getattr(User.objects.get(pk=developer.pk), field) == after
    assert Event.objects.filter(verb=verb, subject_id=developer.pk).count() == 1


def test_what_was_taken_back_is_given_again(desk: Client, developer: User) -> None:
    for there, back in (("unconfirm", "confirm"), ("deactivate", "reactivate")):
        act(desk, USERS, there, developer.pk)
        act(desk, USERS, back, developer.pk)
        act(desk, USERS, back, developer.pk)
    user = User.objects.get(pk=developer.pk)
    assert user.is_active
    assert user.is_confirmed
    assert Event.objects.filter(verb="user_reactivated").count() == 1


def test_operators_do_not_switch_themselves_off(desk: Client, operator: User) -> None:
    act(desk, USERS, "deactivate", operator.pk)
    assert User.objects.get(pk=operator.pk).is_active


def test_the_catalogue_is_kept_through_verbs(desk: Client) -> None:
    base = "/admin/credentials/scope/"
    desk.post(f"{base}add/", {"name": "reports:read", "description": "Read"}, secure=True)
    desk.post(f"{base}reports_3Aread/change/", {"description": "Read all", "restricted": "on"}, secure=True)
    scope = Scope.objects.get(name="reports:read")
    assert (scope.name, scope.description, scope.restricted) == ("reports:read", "Read all", True)
    assert desk.post(f"{base}add/", {"name": "Bad Name", "description": "x"}, secure=True).status_code == 200
    act(desk, base, "delete_selected", "reports:read", post="yes")
    assert not Scope.objects.filter(name="reports:read").exists()
    verbs = list(Event.objects.filter(subject_type="scope").order_by("id").values_list("verb", flat=True))
    assert verbs == ["scope_added", "scope_changed", "scope_removed"]


@pytest.mark.security("L-05")
def test_events_are_read_and_nothing_else(desk: Client, developer: User) -> None:
    base = "/admin/audit/event/"
    event = Event.objects.order_by("id").first()
    assert event
    assert desk.get(f"{base}?q=user_created", secure=True).status_code == 200
    assert desk.get(f"{base}add/", secure=True).status_code == 403
    assert desk.post(f"{base}{event.pk}/delete/", {"post": "yes"}, secure=True).status_code == 403


def test_libraries_register_nothing_of_theirs(desk: Client) -> None:
    page = desk.get("/admin/", secure=True).content.decode()
    for name in ("Authenticator", "Email address", "User session", "Group"):
        assert name not in page


@pytest.mark.security("A-13")
def test_password_and_log_out_are_the_portals_own(desk: Client) -> None:
    assert desk.get("/admin/password_change/", secure=True)["Location"] == "/accounts/password/change/"
    desk.post("/admin/logout/", secure=True)
    assert Event.objects.filter(verb="logged_out").count() == 1
    assert desk.get("/admin/", secure=True).status_code == 302


def test_the_latest_actions_name_what_they_concerned(desk: Client, developer: User) -> None:
    desk.post(FIND, {"credential": developer.pk}, secure=True)
    desk.post(FIND, {"credential": "kp_live_nonsense"}, secure=True)
    page = re.sub(r"\s+", " ", desk.get("/admin/", secure=True).content.decode())
    assert re.findall(r'Credential looked up<br> <span class="quiet">(\w+,)?', page) == ["", f"{developer.pk},"]
