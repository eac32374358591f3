"""Failed OAuth clients leave an event at their key, bounded, and none where there is no such key."""

import base64
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.attempts import AttemptLimit
from accounts.models import AttemptWindow, User
from apikeys import services
from audit.models import Event
from tests.conftest import ORIGIN, LogIn, MakeKey
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import Portal
from tests.rows import rewrite
from tokens.client_failures import OF_CLIENT
from vault.secret_format import new_id

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H31")]
FORM = "application/x-www-form-urlencoded"
THREE_EVER = "3 per 30 years"  # a window that does not end during a test


def events(*verbs: str) -> list[Event]:
    """Return the events of these verbs, oldest first."""
    return list(Event.objects.filter(verb__in=verbs).order_by("id"))


def request_token(
    client: Client, client_id: str, secret: str, *, address: str = "192.0.2.7", how: str = "basic"
) -> int:
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
    assert request_token(client, key.pk, "wrong", how=how) == 401
    [event] = events("client_failed")
    assert (event.subject_type, event.subject_id, event.actor) == ("key", key.pk, "anonymous")
    assert (event.address, event.details) == ("192.0.2.7", {"code": "wrong_secret"})
    assert request_token(client, other.pk, secret, how=how) == 401  # another key's, and good
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
    assert request_token(client, key.pk, secret) == 401
    [event] = events("client_failed")
    assert (event.subject_id, event.details) == (key.pk, {"code": code})


def test_one_event_tells_of_many_tries_of_a_client_from_an_address(client: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    other, _ = make_key()
    for _ in range(5):
        for client_id in (key.pk, other.pk):
            for address in ("192.0.2.7", "192.0.2.8"):
                assert request_token(client, client_id, "wrong", address=address) == 401
    recorded = sorted((event.subject_id, str(event.address)) for event in events("client_failed"))
    assert recorded == sorted((one, at) for one in (key.pk, other.pk) for at in ("192.0.2.7", "192.0.2.8"))
    AttemptWindow.objects.all().delete()  # the window is over
    request_token(client, key.pk, "wrong")
    assert len(events("client_failed")) == 5


def test_many_addresses_together_do_not_fill_the_trail_of_a_key(
    client: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key()
    monkeypatch.setattr("tokens.client_failures.OF_CLIENT", AttemptLimit(OF_CLIENT.setting, fixed=THREE_EVER))
    for number in range(6):
        request_token(client, key.pk, "wrong", address=f"2001:db8:{number + 1:x}::1")
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
        assert request_token(client, client_id, "wrong", how=how) in (400, 401)
    assert events("client_failed") == []


def test_a_known_and_an_unknown_client_cost_the_same(client: Client, make_key: MakeKey) -> None:
    """The work must not tell which keys there are: the statements, one by one, but for what they are about."""
    key, _ = make_key()
    request_token(client, new_id("key"), "wrong", address="192.0.2.99")  # what is done once a process
    works = []
    for host, client_id in enumerate((key.pk, new_id("key"), "x")):
        with CaptureQueriesContext(connection) as queries:
            for _ in range(3):
                request_token(client, client_id, "wrong", address=f"192.0.2.{host + 50}")
        works.append([query["sql"].split()[0] for query in queries.captured_queries])
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
