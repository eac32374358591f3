"""The endpoints of the tokens without a server between: what each takes, in both languages of error."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import AttemptWindow, User
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from tests.conftest import PASSWORD, MakeKey, MakeUser
from tests.tokens.endpoints import FORM, Json, basic, bearer, log_in_for_tokens, post_form, refresh
from tests.typos import with_another_end
from tokens.models import RevokedToken, TokenFamily
from tokens.verification import verify

__all__ = ["log_in_for_tokens"]

pytestmark = pytest.mark.django_db


def me(client: Client, credential: str) -> tuple[int, Json]:
    answer = client.get("/api/v1/me", secure=True, headers=bearer(credential))
    return answer.status_code, json.loads(answer.content)


def test_a_log_in_has_what_developers_may_take_themselves(
    client: Client, log_in_for_tokens: Callable[..., Json], developer: User
) -> None:
    pair = log_in_for_tokens()
    assert pair["scope"] == "reports:read reports:write"
    status, credential = me(client, pair["access_token"])
    assert (status, credential["scopes"]) == (200, ["reports:read", "reports:write"])
    assert log_in_for_tokens(scope="reports:read")["scope"] == "reports:read"
    assert log_in_for_tokens(scope="")["scope"] == "reports:read reports:write"
    assert log_in_for_tokens(400, scope="secrets:all")["code"] == "invalid_scope"
    assert Event.objects.filter(verb="app_logged_in", subject_id=developer.pk).count() == 3
    Scope.objects.get(name="reports:write").delete()
    assert me(client, pair["access_token"])[1]["scopes"] == ["reports:read"]


def test_the_endpoint_can_be_switched_off(
    client: Client, log_in_for_tokens: Callable[..., Json], settings: Settings
) -> None:
    pair = log_in_for_tokens()
    settings.KEYPORTAL_PASSWORD_TOKENS = False
    assert log_in_for_tokens(404)["code"] == "not_found"
    assert refresh(client, pair["refresh_token"])[0] == 200


def test_one_query_asks_about_a_token(
    client: Client, log_in_for_tokens: Callable[..., Json], make_key: MakeKey, django_assert_num_queries: Any
) -> None:
    key, secret = make_key()
    user_token = log_in_for_tokens()["access_token"]
    key_token = post_form(client, "/oauth/token", {"grant_type": "client_credentials"}, **basic(key.pk, secret))[1]
    for token in (user_token, key_token["access_token"]):
        with django_assert_num_queries(1):
            verify(token, address=None)
    with django_assert_num_queries(0):
        assert me(client, user_token[:-4] + "AAAA")[0] == 401


def test_a_pair_is_refreshed_narrowed_and_ended(client: Client, log_in_for_tokens: Callable[..., Json]) -> None:
    first = log_in_for_tokens()
    status, second = refresh(client, first["refresh_token"], scope="reports:read")
    assert (status, second["scope"]) == (200, "reports:read")
    assert refresh(client, second["refresh_token"], scope="secrets:all")[1]["code"] == "invalid_scope"
    grant = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    status, third = post_form(client, "/oauth/token", grant)
    assert (status, third["scope"]) == (200, "reports:read reports:write")
    assert client.delete("/api/v1/tokens", secure=True, headers=bearer(third["access_token"])).status_code == 204
    for pair in (first, second, third):
        assert me(client, pair["access_token"])[1]["code"] == "revoked"
        assert refresh(client, pair["refresh_token"])[1]["code"] == "invalid_grant"
    assert Event.objects.filter(verb="refresh_reuse").count() == 0  # it was over before
    assert RevokedToken.objects.count() == 1


def test_reuse_ends_the_family_unless_a_grace_forgives_it(
    client: Client, log_in_for_tokens: Callable[..., Json], settings: Settings, time_machine: Any
) -> None:
    settings.KEYPORTAL_REFRESH_GRACE = 30
    first = log_in_for_tokens()
    assert refresh(client, first["refresh_token"])[0] == 200
    assert refresh(client, first["refresh_token"])[0] == 400
    assert TokenFamily.objects.get().ended_at is None
    time_machine.move_to(timezone.now() + timedelta(seconds=31))
    assert refresh(client, first["refresh_token"])[0] == 400
    assert TokenFamily.objects.get().ended_at
    assert Event.objects.filter(verb="refresh_reuse").count() == 1


def test_reuse_is_noticed_whatever_else_is_asked_for(client: Client, log_in_for_tokens: Callable[..., Json]) -> None:
    for asked in ({"resource": "https://other.test"}, {"scope": "never:granted"}):
        first = log_in_for_tokens()
        assert refresh(client, first["refresh_token"])[0] == 200
        body = json.dumps({"refresh_token": first["refresh_token"], **asked})
        answer = client.post("/api/v1/tokens/refresh", body, "application/json", secure=True)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_grant")
        assert TokenFamily.objects.latest("started_at").ended_at


def test_a_row_that_somebody_changed_buys_nothing(
    client: Client, log_in_for_tokens: Callable[..., Json], caplog: pytest.LogCaptureFixture
) -> None:
    pair = log_in_for_tokens()
    TokenFamily.objects.update(scopes="secrets:all")
    with caplog.at_level(logging.ERROR):
        assert refresh(client, pair["refresh_token"])[0] == 400
    assert "integrity_violation" in caplog.text


def test_a_key_is_a_client_and_its_tokens_end_with_it(client: Client, make_key: MakeKey, scopes: list[Scope]) -> None:
    soon = timezone.now() + timedelta(minutes=2)
    key, secret = make_key(scopes=["reports:read"], expires_at=soon)
    head = basic(key.pk, secret)
    grant = {"grant_type": "client_credentials", "scope": "reports:read"}
    status, issued = post_form(client, "/oauth/token", grant, **head)
    assert (status, issued["scope"]) == (200, "reports:read")
    assert 100 < issued["expires_in"] <= 120  # no longer than the key
    assert me(client, issued["access_token"])[1]["client_id"] == key.pk
    for wrong, error in {
        "scope": ("invalid_scope", {**grant, "scope": "reports:write"}),
        "client": ("invalid_client", {**grant, "client_id": key.pk, "client_secret": secret + "x"}),
        "ways": ("invalid_request", {**grant, "client_secret": secret}),
    }.values():
        used = head if wrong != "invalid_client" else {}
        assert post_form(client, "/oauth/token", error, **used)[1]["error"] == wrong
    APIKey.objects.update(paused_at=timezone.now())
    status, body = post_form(client, "/oauth/token", grant, **head)
    assert (status, body["error"], body["error_description"]) == (401, "invalid_client", "This key is paused")
    assert me(client, issued["access_token"])[1]["code"] == "paused"


def test_both_kinds_of_token_are_ended_by_either_endpoint(
    client: Client, make_key: MakeKey, log_in_for_tokens: Callable[..., Json]
) -> None:
    key, secret = make_key()
    head = basic(key.pk, secret)
    token = post_form(client, "/oauth/token", {"grant_type": "client_credentials"}, **head)[1]["access_token"]
    pair = log_in_for_tokens()
    assert post_form(client, "/oauth/revoke", {"token": pair["refresh_token"]}, **head)[1]["error"] == "invalid_grant"
    for _ in range(2):
        assert post_form(client, "/oauth/revoke", {"token": token}, **head) == (200, {})
        public = {"token": pair["refresh_token"], "client_id": "portal"}
        assert post_form(client, "/oauth/revoke", public) == (200, {})
    assert me(client, token)[1]["code"] == me(client, pair["access_token"])[1]["code"] == "revoked"
    assert client.delete("/api/v1/tokens", secure=True, headers=bearer(secret)).status_code == 204
    assert me(client, secret)[1]["code"] == "revoked"
    verbs = Event.objects.filter(verb__in=["token_revoked", "tokens_revoked", "key_revoked"])
    assert verbs.count() == 3


def test_a_service_asks_about_every_kind(
    client: Client, make_key: MakeKey, log_in_for_tokens: Callable[..., Json], developer: User
) -> None:
    service, service_secret = make_key(scopes=["credentials:verify"], restricted=True)
    head = basic(service.pk, service_secret)
    pair = log_in_for_tokens()
    key, secret = make_key(networks=["192.0.2.0/24"])

    def ask(token: str, **more: str) -> Json:
        status, body = post_form(client, "/oauth/introspect", {"token": token, **more}, **head)
        assert status == 200
        return body

    assert ask(pair["access_token"])["sub"] == f"user:{developer.pk}"
    assert ask(pair["refresh_token"])["token_type"] == "refresh_token"
    assert ask(secret, client_ip="192.0.2.9")["sub"] == f"key:{key.pk}"
    for unknown in (secret, "x", "a.b.c", with_another_end(pair["refresh_token"]), service_secret + "x"):
        assert ask(unknown) == {"active": False}
    assert post_form(client, "/oauth/introspect", {}, **head)[0] == 400
    assert post_form(client, "/oauth/introspect", {"token": "x"}, **basic(key.pk, secret))[0] == 401


@pytest.mark.sweep
def test_log_ins_are_counted_and_given_back(
    client: Client, log_in_for_tokens: Callable[..., Json], make_user: MakeUser, developer: User
) -> None:
    for number in range(10):
        log_in_for_tokens(401, password=f"wrong {number}")
    assert log_in_for_tokens(429)["code"] == "rate_limited"
    assert Event.objects.filter(verb="login_failed", subject_id=developer.pk).count() == 10
    AttemptWindow.objects.all().delete()
    for _ in range(12):
        log_in_for_tokens()
    unconfirmed = make_user("waits@example.com", confirmed=False)
    answer = client.post("/api/v1/tokens", secure=True, headers=basic(unconfirmed.email, PASSWORD), content_type="")
    assert json.loads(answer.content)["code"] == "account_unconfirmed"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
def test_errors_of_oauth_are_said_as_oauth_says_them(client: Client, path: str) -> None:
    garbage = {"Authorization": "Basic !"}
    answers = [
        client.get(path, secure=True),
        client.post(path, {}, "application/json", secure=True),
        client.post(path, "a=1&a=2", FORM, secure=True),
        client.post(f"{path}/nothing", "", FORM, secure=True),
        client.post(path, "token=x&grant_type=client_credentials", FORM, secure=True, headers=garbage),
    ]
    for answer in answers:
        assert answer["Content-Type"] == "application/json"
        assert answer["Cache-Control"] == "no-store"
        assert json.loads(answer.content)["error"]
    assert [answer.status_code for answer in answers] == [405, 400, 400, 404, 401]
