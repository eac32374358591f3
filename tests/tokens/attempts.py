"""Attempts that a limit counts, from one address or another."""

import pytest
from django.test import Client

from accounts.attempts import AttemptLimit
from tests.oauth_client import FORM, basic

TOO_MANY = 429
HERE = "203.0.113.7"


def elsewhere(number: int) -> str:
    """Return an address that the portal has not seen."""
    return f"198.51.{number // 250}.{number % 250 + 1}"


def try_password(client: Client, email: str, password: str, address: str) -> int:
    """Ask for tokens with a password, and return the status."""
    head = {"Authorization": basic(email, password)}
    answer = client.post(
        "/api/v1/tokens", content_type="application/json", secure=True, headers=head, REMOTE_ADDR=address
    )
    return answer.status_code


def send_form(client: Client, path: str, body: str, user: str, secret: str, address: str = HERE) -> int:
    """Send a form as an OAuth client, and return the status."""
    head = {"Authorization": basic(user, secret)}
    return client.post(path, body, FORM, secure=True, headers=head, REMOTE_ADDR=address).status_code


@pytest.fixture
def counted_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of many requests at once: each has passed the first check of the limit before any was counted."""
    monkeypatch.setattr(AttemptLimit, "retry_after", lambda _limit, _key: 0)
