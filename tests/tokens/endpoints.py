"""Requests to the endpoints of the tokens, without a server between."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credentials.scopes.models import Scope
from tests.conftest import PASSWORD

FORM = "application/x-www-form-urlencoded"
Json = dict[str, Any]


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(credential: str) -> dict[str, str]:
    """Return the header of a Bearer credential."""
    return {"Authorization": f"Bearer {credential}"}


@pytest.fixture
def log_in_for_tokens(client: Client, developer: User, scopes: list[Scope]) -> Callable[..., Json]:
    """Log the developer in at the auth endpoint."""

    def enter(status: int = 200, password: str = PASSWORD, **body: object) -> Json:
        given: Json = {"data": json.dumps(body), "content_type": "application/json"} if body else {}
        head = basic(developer.email, password)
        answer = client.generic("POST", "/api/v1/tokens", secure=True, headers=head, **given)
        assert answer.status_code == status, answer.content
        pair: Json = json.loads(answer.content)
        return pair

    return enter


def post_form(client: Client, path: str, body: Mapping[str, str], **head: str) -> tuple[int, Json]:
    """Send a form, and return the status and the JSON of the answer."""
    answer = client.post(path, "&".join(f"{k}={v}" for k, v in body.items()), FORM, secure=True, headers=head)
    return answer.status_code, json.loads(answer.content)


def refresh(client: Client, token: str, **more: object) -> tuple[int, Json]:
    """Spend a refresh token at the tokens' own endpoint."""
    body = {"refresh_token": token, **more}
    answer = client.post("/api/v1/tokens/refresh", json.dumps(body), "application/json", secure=True)
    return answer.status_code, json.loads(answer.content)
