"""The members of `/api/v1/tokens` and its refresh: nothing is dropped that would have narrowed what is given."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credentials.scopes.models import Scope
from tests.conftest import PASSWORD
from tests.oauth_client import FORM, basic

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H4")]


@pytest.fixture
def log_in(client: Client, developer: User, scopes: list[Scope]) -> Any:
    def post_body(body: str | dict[str, Any]) -> Any:
        raw = body if isinstance(body, str) else json.dumps(body)
        head = {"Authorization": basic(developer.email, PASSWORD)}
        return client.post("/api/v1/tokens", raw, "application/json", secure=True, headers=head)

    return post_body


def refresh(client: Client, body: dict[str, Any]) -> Any:
    return client.post("/api/v1/tokens/refresh", json.dumps(body), "application/json", secure=True)


@pytest.mark.parametrize(
    ("body", "scope"),
    [
        ({"scope": "reports:read"}, "reports:read"),
        ({"scopes": ["reports:read"]}, "reports:read"),
        ({"scopes": []}, ""),
        ({"scope": None, "scopes": ["reports:read"]}, "reports:read"),
    ],
)
def test_a_wish_is_understood_as_a_text_and_as_a_list(
    client: Client, log_in: Any, body: dict[str, Any], scope: str
) -> None:
    answer = log_in(body)
    assert (answer.status_code, answer.json()["scope"]) == (200, scope)
    again = refresh(client, {"refresh_token": log_in({}).json()["refresh_token"], **body})
    assert (again.status_code, again.json()["scope"]) == (200, scope)


def test_no_wish_is_no_wish_however_it_is_written(log_in: Any) -> None:
    everything = log_in({}).json()["scope"]
    assert "reports:read" in everything.split()
    for body in ("", {"scope": None}, {"scope": ""}, {"scopes": None}):
        assert log_in(body).json()["scope"] == everything


@pytest.mark.parametrize(
    ("body", "pointer", "meant"),
    [
        ({"scop": "reports:read"}, "/scop", "scope"),
        ({"Scopes": ["reports:read"]}, "/Scopes", "scopes"),
        ({"environment": "test"}, "/environment", ""),
        ({"audience": "https://reports.test"}, "/audience", "resource"),
        ({"scope": "reports:read", "scopes": ["reports:read"]}, "/scope", ""),
        ({"scope": ["reports:read"]}, "/scope", ""),
        ({"scopes": "reports:read"}, "/scopes", ""),
    ],
)
def test_what_is_not_understood_is_400_and_gives_nothing(
    client: Client, log_in: Any, body: dict[str, Any], pointer: str, meant: str
) -> None:
    token = log_in({}).json()["refresh_token"]
    for answer in (log_in(body), refresh(client, {"refresh_token": token, **body})):
        assert (answer.status_code, answer.json()["code"]) == (400, "validation")
        [error] = answer.json()["errors"]
        assert error["pointer"] == pointer
        assert (f"“{meant}”" in error["detail"]) == bool(meant)
    assert refresh(client, {"refresh_token": token}).status_code == 200  # what was refused has spent nothing


def test_oauth_ignores_what_it_does_not_know(client: Client, log_in: Any) -> None:
    body = f"grant_type=refresh_token&refresh_token={log_in({}).json()['refresh_token']}&scop=x&prompt=none"
    assert client.post("/oauth/token", body, FORM, secure=True).status_code == 200
