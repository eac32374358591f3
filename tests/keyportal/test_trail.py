"""What leaves an event: denied access, refused actions, failed OAuth clients, a secret that did not open."""

import base64
import re
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import allauth
import pytest
from django.contrib.admin.utils import quote
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.attempts import AttemptLimit
from accounts.models import AttemptWindow, User
from apikeys import services
from apikeys.models import KeySecret
from audit.event_types import EventType, sentence_of
from audit.models import Event
from keyportal.errors.denied import REFUSED
from tests.conftest import ORIGIN, LogIn, MakeKey, MakeUser
from tests.keyportal.rights import grant
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import ROOT, Portal
from tests.portal_user import PortalUser
from tests.rows import rewrite
from tokens.client_failures import OF_CLIENT
from vault.secret_format import new_id

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H31")]
FORM = "application/x-www-form-urlencoded"
THREE_EVER = "3 per 30 years"  # a window that does not end during a test


def events(*verbs: str) -> list[Event]:
    return list(Event.objects.filter(verb__in=verbs).order_by("id"))


# Denied access and refused actions.


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


# Failed OAuth clients.


def ask(client: Client, client_id: str, secret: str, *, address: str = "192.0.2.7", how: str = "basic") -> int:
    body, head = "grant_type=client_credentials", {}
    if how == "basic":
        head = {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}
    else:
        body += f"&client_id={client_id}&client_secret={secret}"
    answer = client.post("/oauth/token", body, FORM, secure=True, headers=head, REMOTE_ADDR=address)
    return answer.status_code


@pytest.mark.parametrize("how", ["basic", "form"])
def test_a_wrong_secret_of_a_known_client_is_on_the_record_of_its_key(
    client: Client, make_key: MakeKey, log_in: LogIn, developer: User, how: str
) -> None:
    key, secret = make_key()
    other, other_secret = make_key(name="other")
    assert ask(client, key.pk, "wrong", how=how) == 401
    [event] = events("client_failed")
    assert (event.subject_type, event.subject_id, event.actor) == ("key", key.pk, "anonymous")
    assert (event.address, event.details) == ("192.0.2.7", {"code": "wrong_secret"})
    assert ask(client, other.pk, secret, how=how) == 401  # another key's, and good
    assert [event.subject_id for event in events("client_failed")] == [key.pk, other.pk]
    page = log_in(developer).get(f"/keys/{key.pk}/", secure=True).content.decode()
    assert "OAuth client refused" in page
    recorded = str(list(Event.objects.values()))
    assert secret not in recorded
    assert other_secret not in recorded


@pytest.mark.parametrize("code", ["revoked", "paused", "expired", "network_refused", "owner_inactive"])
def test_a_refused_key_is_on_the_record_with_the_reason(client: Client, make_key: MakeKey, code: str) -> None:
    fields: dict[str, Any] = {"networks": ["198.51.100.0/24"]} if code == "network_refused" else {}
    key, secret = make_key(**fields)
    if code == "revoked":
        services.revoke(key=key, reason="x", origin=ORIGIN)
    if code == "paused":
        rewrite(key, paused_at=key.created_at)
    if code == "expired":
        rewrite(key, expires_at=key.created_at)
    if code == "owner_inactive":
        User.objects.update(is_active=False)
    assert ask(client, key.pk, secret) == 401
    [event] = events("client_failed")
    assert (event.subject_id, event.details) == (key.pk, {"code": code})


def test_one_event_tells_of_many_tries_of_a_client_from_an_address(client: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    other, _ = make_key()
    for _ in range(5):
        for client_id in (key.pk, other.pk):
            for address in ("192.0.2.7", "192.0.2.8"):
                assert ask(client, client_id, "wrong", address=address) == 401
    told_of = sorted((event.subject_id, str(event.address)) for event in events("client_failed"))
    assert told_of == sorted((one, at) for one in (key.pk, other.pk) for at in ("192.0.2.7", "192.0.2.8"))
    AttemptWindow.objects.all().delete()  # the window is over
    ask(client, key.pk, "wrong")
    assert len(events("client_failed")) == 5


def test_many_addresses_together_do_not_fill_the_trail_of_a_key(
    client: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key()
    monkeypatch.setattr("tokens.client_failures.OF_CLIENT", AttemptLimit(OF_CLIENT.setting, fixed=THREE_EVER))
    for number in range(6):
        ask(client, key.pk, "wrong", address=f"2001:db8:{number + 1:x}::1")
    assert len(events("client_failed")) == 3
    assert OF_CLIENT.rate.amount <= 50


ODD = [
    "",
    "x",
    "portal",
    "key_x",
    f"key_{'0' * 22}",
    f"usr_{'0' * 22}",
    "%00",
    "key_%00",
    "é" * 300,
    "a" * 5000,
    "\u202e",
]


@pytest.mark.parametrize("client_id", ODD, ids=range(len(ODD)))
def test_an_unknown_client_leaves_no_event(client: Client, make_key: MakeKey, client_id: str) -> None:
    make_key()
    for how in ("basic", "form"):
        assert ask(client, client_id, "wrong", how=how) in (400, 401)
    assert events("client_failed") == []


def test_a_known_and_an_unknown_client_cost_the_same(client: Client, make_key: MakeKey) -> None:
    """The work must not tell which keys there are: the statements, one by one, but for what they are about."""
    key, _ = make_key()
    ask(client, new_id("key"), "wrong", address="192.0.2.99")  # what is done once a process
    works = []
    for host, client_id in enumerate((key.pk, new_id("key"), "x")):
        with CaptureQueriesContext(connection) as asked:
            for _ in range(3):
                ask(client, client_id, "wrong", address=f"192.0.2.{host + 50}")
        works.append([query["sql"].split()[0] for query in asked.captured_queries])
    # The event of an unknown client is taken back to the savepoint: that is a statement more.
    known, *unknown = [[verb for verb in work if verb != "ROLLBACK"] for work in works]
    assert known.count("INSERT") >= 3
    assert unknown == [known, known]


def test_a_failed_client_is_on_the_record_behind_a_real_server(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("failing@example.com")
    client = ClientKey(*portal.make_key("failing@example.com"))
    for path, body in (("token", {"grant_type": "client_credentials"}), ("revoke", {"token": "x"}), ("introspect", {})):
        answer = oauth_client.form(f"/oauth/{path}", body, client=ClientKey(client.id, "wrong"))
        assert json_of(answer)["error"] == "invalid_client"
    count = f"print(Event.objects.filter(verb='client_failed', subject_id='{client.id}').count())"
    assert portal.shell(count) == "1"


# A secret that does not open.


def test_a_reveal_of_a_broken_ciphertext_is_on_the_record(
    log_in: LogIn, make_key: MakeKey, developer: User, mailoutbox: list[Any]
) -> None:
    key, _ = make_key()
    secret = key.secrets.get()
    KeySecret.objects.update(ciphertext=b"broken")
    browser = log_in(developer)
    mailoutbox.clear()
    answer = browser.post(f"/keys/{key.pk}/secrets/{secret.pk}/reveal/", secure=True)
    assert answer.status_code == 500
    [event] = events("key_revealed", "reveal_failed")
    assert (event.verb, event.subject_id, event.actor) == ("reveal_failed", key.pk, f"user:{developer.pk}")
    assert event.details == {"secret": secret.hint}
    assert mailoutbox == []  # nothing was revealed
    assert "Secret not shown" in browser.get(f"/keys/{key.pk}/", secure=True).content.decode()


def test_the_event_of_a_broken_ciphertext_is_committed(portal: Portal) -> None:
    portal_user = PortalUser(portal, "broken@example.com")
    key, _ = portal.make_key("broken@example.com")
    portal.shell(f"KeySecret.objects.filter(key='{key}').update(ciphertext=b'broken')")
    [reveal] = set(re.findall(rf"/keys/{key}/secrets/sec_\w+/reveal/", portal_user.get(f"/keys/{key}/")))
    with pytest.raises(HTTPError, match="500"):
        portal_user.post(reveal, form_at=f"/keys/{key}/")
    told_of = portal.shell(
        f"print(*Event.objects.filter(subject_id='{key}').order_by('id').values_list('verb', flat=True))"
    )
    assert told_of == "key_created reveal_failed"


# Types of events.


ROOMS = ("accounts", "apikeys", "audit", "credentials", "gateway", "keyportal", "tokens")
BY_LIBRARY = {
    *(
        EventType.EMAIL_CONFIRM,
        EventType.EMAIL_DELETED,
        EventType.PASSWORD_CHANGED,
        EventType.PASSWORD_RESET,
        EventType.RECOVERY_CODES_GENERATED,
    ),
    *(EventType.TOTP_ACTIVATED, EventType.TOTP_DEACTIVATED, EventType.WEBAUTHN_ADDED, EventType.WEBAUTHN_REMOVED),
}
"""Recorded under the names of the library's messages."""


def recorded_types() -> set[EventType]:
    """Return the types of event that some line of the rooms names."""
    lines = "".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {EventType[name] for name in re.findall(r"EventType\.([A-Z_]+)", lines)}


def test_every_type_of_event_is_recorded_and_has_a_sentence() -> None:
    assert recorded_types() | BY_LIBRARY == set(EventType)
    assert all(kind.sentence[0].isupper() and kind.value == kind.name.lower() for kind in EventType)


@pytest.mark.parametrize("folder", ["account", "mfa"])
def test_every_message_of_the_library_is_a_type_of_event(folder: str) -> None:
    """The library names the events of which it notifies by these templates."""
    messages = Path(allauth.__file__).parent / "templates" / folder / "email"
    names = {path.name.removesuffix("_subject.txt") for path in messages.glob("*_subject.txt")}
    unheard = {name for name in names if name.upper() not in EventType.__members__}
    assert unheard <= {
        *("account_already_exists", "email_confirmation", "email_confirmation_signup", "login_code", "unknown_account"),
        *("password_reset_key", "password_reset_code"),
    }


def test_the_sentence_of_an_unknown_verb_is_the_verb() -> None:
    assert sentence_of("left_the_building") == "Left the building"
