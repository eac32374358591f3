"""Attempts that a limit counts: from which browser, at what, and how a limit refuses."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from tests.accounts.mailbox import post
from tests.oauth_client import basic

EMAIL = "dev@example.com"
START = datetime.fromtimestamp(1_800_000_010, UTC)


@pytest.fixture
def in_one_window(time_machine: Any) -> None:
    """Let the clock stand: what is counted at the edge of a window weighs less, and a slow machine takes its time."""
    time_machine.move_to(START, tick=False)


def browser_at(number: int, **more: Any) -> Client:
    """Return a browser at an address of its own."""
    return Client(REMOTE_ADDR=f"198.51.100.{number}", **more)


def try_password(client: Client, email: str = EMAIL, password: str = "wrong") -> Any:
    """Send the log-in form."""
    return post(client, "/accounts/login/", login=email, password=password)


def try_basic(client: Client, email: str = EMAIL, password: str = "wrong") -> Any:
    """Ask for tokens by HTTP Basic."""
    headers = {"Authorization": basic(email, password)}
    return client.post("/api/v1/tokens", content_type="application/json", secure=True, headers=headers)


def is_stopped_with(answer: Any, words: str) -> bool:
    """Return whether a limit refuses with its own words, and says how long to wait."""
    return answer.status_code == 429 and words in answer.content.decode() and int(answer["Retry-After"]) > 0
