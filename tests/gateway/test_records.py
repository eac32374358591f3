"""What verify tells a service that judges the next calls itself: records, several at once, and the signed identity."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import end_all_tokens
from accounts.times import rfc3339
from apikeys import services
from apikeys.models import APIKey
from apikeys.verification import verify as verify_key
from credentials.usage.counters import usage_counters
from gateway.verification_request import MAX_CREDENTIALS
from tests.conftest import ORIGIN, MakeKey
from tests.gateway.test_asking import ASKER
from tokens.services import issue_to_key, issue_to_user
from vault.secret_format import new_secret

pytestmark = pytest.mark.django_db
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(client: Client, make_key: MakeKey) -> Ask:
    """Ask about credentials, as a service; return the answer."""
    _, service = make_key(**ASKER)

    def send(credential: object, **more: object) -> dict[str, Any]:
        name = "credential" if isinstance(credential, str) else "credentials"
        body = json.dumps({name: credential, **more})
        headers = {"Authorization": f"Bearer {service}"}
        answer = client.post("/api/v1/verify", body, "application/json", secure=True, headers=headers)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    return send


def test_a_record_has_what_a_verdict_depends_on(
    ask: Ask, make_key: MakeKey, developer: User, scopes: list[Any]
) -> None:
    ends = timezone.now() + timedelta(days=40)
    key, secret = make_key(scopes=["reports:read"], networks=["203.0.113.0/24"], expires_at=ends)
    answer = ask(secret, record=True, client_ip="203.0.113.9")
    assert answer["valid"]
    assert answer["record"] == {
        "format": 1,
        "id": key.pk,
        "secret_id": key.secrets.get().pk,
        "kind": "api_key",
        "key": key.pk,
        "name": key.name,
        "client_id": key.pk,
        "owner": developer.pk,
        "owner_state": "active",
        "environment": "live",
        "scopes": ["reports:read"],
        "networks": ["203.0.113.0/24"],
        "audience": None,
        "rate_limit": None,
        "asks_each_time": False,
        "not_before": None,
        "expires_at": rfc3339(ends),
        "leeway": 0,
        "key_expires_at": None,
        "replaced_at": None,
        "retires_at": None,
        "paused_at": None,
        "paused_until": None,
        "paused_reason": "",
        "revoked_at": None,
        "revoked_reason": "",
        "tags": [f"key:{key.pk}", f"user:{developer.pk}"],
    }
    assert secret not in json.dumps(answer)


def test_without_being_asked_no_record_is_told(ask: Ask, make_key: MakeKey) -> None:
    _, secret = make_key()
    assert ask(secret).keys() == {"valid", "code", "credential", "owner"}
    assert ask(secret, record=False).keys() == ask(secret).keys()


def test_a_replaced_secret_has_its_end_and_a_new_one_has_none(ask: Ask, make_key: MakeKey) -> None:
    key, first = make_key()
    _, second = services.rotate(key=key, replaces=key.secrets.get().pk, overlap=timedelta(hours=1), origin=ORIGIN)
    records = [ask(secret, record=True)["record"] for secret in (first, second)]
    assert [bool(record["retires_at"]) for record in records] == [True, False]
    assert records[0]["secret_id"] != records[1]["secret_id"]


def test_a_refused_credential_has_a_record_too(ask: Ask, make_key: MakeKey) -> None:
    """So the next call is refused without a question."""
    key, secret = make_key()
    services.revoke(key=key, reason="left behind", origin=ORIGIN)
    answer = ask(secret, record=True)
    assert (answer["valid"], answer["code"]) == (False, "revoked")
    assert answer["record"]["revoked_at"] == answer["about"]["at"]
    assert answer["record"]["revoked_reason"] == "left behind"


def test_nothing_is_kept_of_what_nobody_knows(ask: Ask, make_key: MakeKey, developer: User) -> None:
    token = issue_to_user(user=developer, scopes=None, agent="test", origin=ORIGIN).access_token
    for unknown in ("x", new_secret("kp", "live"), f"{token[:-8]}AAAAAAAA"):
        answer = ask(unknown, record=True)
        assert (answer["code"], answer["record"]) == ("invalid_token", None)


def test_a_row_that_the_portal_did_not_write_has_no_record(ask: Ask, make_key: MakeKey) -> None:
    key, secret = make_key()
    APIKey.objects.filter(pk=key.pk).update(networks="0.0.0.0/0")
    answer = ask(secret, record=True)
    assert (answer["code"], answer["record"]) == ("invalid_token", None)
    APIKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())  # it may still take rights away
    answer = ask(secret, record=True)
    assert (answer["code"], answer["record"]) == ("revoked", None)


def test_a_token_that_has_ended_has_no_record(ask: Ask, developer: User) -> None:
    token = issue_to_user(user=developer, scopes=None, agent="test", origin=ORIGIN).access_token
    assert ask(token, record=True)["record"]["owner"] == developer.pk
    end_all_tokens(user=developer, origin=ORIGIN)
    assert ask(token, record=True)["record"] is None


def test_the_record_of_a_token_of_a_key_has_the_end_of_both(ask: Ask, make_key: MakeKey) -> None:
    ends = timezone.now() + timedelta(days=2)
    key, secret = make_key(expires_at=ends)
    token = issue_to_key(client=verify_key(secret, address=None), scopes=None, origin=ORIGIN).access_token
    record = ask(token, record=True)["record"]
    assert (record["key"], record["key_expires_at"], record["leeway"]) == (key.pk, rfc3339(ends), 30)
    assert record["expires_at"] < record["key_expires_at"]
    assert f"key:{key.pk}" in record["tags"]


def test_a_key_whose_calls_the_portal_counts_must_be_asked_about(
    ask: Ask, make_key: MakeKey, settings: Settings
) -> None:
    key, secret = make_key()
    assert ask(secret, record=True)["record"]["asks_each_time"] is False
    services.set_rate_limit(key=key, limit="5/minute", origin=ORIGIN)
    record = ask(secret, record=True)["record"]
    assert (record["asks_each_time"], record["rate_limit"]) == (True, "5/minute")
    _, other = make_key()
    settings.KEYPORTAL_RATE_LIMIT = "100/minute"
    assert ask(other, record=True)["record"]["asks_each_time"] is True


@pytest.mark.once  # on PostgreSQL these tests have no listener, and so no cursor
def test_the_answer_says_of_which_change_and_moment_it_is(ask: Ask, make_key: MakeKey) -> None:
    before = timezone.now()
    _, secret = make_key()
    answer = ask(secret, record=True)
    assert answer["cursor"].count(".") == 3
    assert rfc3339(before) <= answer["now"] <= rfc3339(timezone.now())
    key, _ = make_key()
    services.revoke(key=key, reason="x", origin=ORIGIN)
    later = ask(secret, record=True)["cursor"]
    assert int(later.split(".")[1]) > int(answer["cursor"].split(".")[1])


def test_several_are_answered_in_their_order(ask: Ask, make_key: MakeKey) -> None:
    (one, secret), (two, other) = make_key(), make_key()
    services.revoke(key=two, reason="x", origin=ORIGIN)
    answer = ask([secret, "nobody's", other, secret])
    assert [result["code"] for result in answer["results"]] == ["ok", "invalid_token", "revoked", "ok"]
    assert [result.get("credential", {}).get("id") for result in answer["results"]] == [one.pk, None, None, one.pk]
    assert answer.keys() == {"results", "cursor", "now"}
    assert "record" not in answer["results"][0]
    assert ask([other, secret], record=True)["results"][1]["record"]["id"] == one.pk


def test_each_of_several_is_counted(ask: Ask, make_key: MakeKey) -> None:
    key, secret = make_key()
    usage_counters().drain()
    ask([secret] * 5)
    counted = {counter: call.count for counter, call in usage_counters().drain().items()}
    assert sum(count for counter, count in counted.items() if counter.credential == key.pk) == 5


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"credentials": []}, "/credentials"),
        ({"credentials": ["x"] * (MAX_CREDENTIALS + 1)}, "/credentials"),
        ({"credentials": "x"}, "/credentials"),
        ({"credentials": ["x", 7]}, "/credentials/1"),
        ({"credentials": ["x", ""]}, "/credentials/1"),
        ({"credentials": ["x"], "credential": "y"}, "/credential"),
        ({"credential": "x", "record": "true"}, "/record"),
        ({"credential": "x", "record": 1}, "/record"),
        ({"credential": "x", "assertion": ""}, "/assertion"),
        ({"credential": "x", "assertion": ["a"]}, "/assertion"),
        ({}, "/credential"),
    ],
)
def test_a_mistake_is_pointed_at(client: Client, make_key: MakeKey, sent: dict[str, object], pointer: str) -> None:
    _, service = make_key(**ASKER)
    headers = {"Authorization": f"Bearer {service}"}
    answer = client.post("/api/v1/verify", json.dumps(sent), "application/json", secure=True, headers=headers)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
