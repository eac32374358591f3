"""Credentials of every kind, and an operator's search for them."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from apikeys.models import APIKey
from apikeys.verification import verify as verify_key
from credentials.scopes.models import Scope
from tests.conftest import ORIGIN, MakeKey
from tokens import services
from tokens.search import search
from tokens.services import TokenResponse
from tokens.traces import Finding


@pytest.fixture
def pair(developer: User, scopes: list[Scope]) -> TokenResponse:
    """A log-in's access and refresh token."""
    return services.issue_to_user(user=developer, scopes=None, agent="a tool/1", origin=ORIGIN)


@pytest.fixture
def swap(make_key: MakeKey) -> Callable[..., tuple[APIKey, str, str]]:
    """Make a key, and an access token that it was swapped for."""

    def make(**fields: Any) -> tuple[APIKey, str, str]:
        key, secret = make_key(**fields)
        issued = services.issue_to_key(client=verify_key(secret, address=None), scopes=None, origin=ORIGIN)
        return key, secret, issued.access_token

    return make


def find_one(text: str) -> Finding:
    """Return the one finding for a text."""
    result = search(text, origin=ORIGIN)
    assert result.sentence == ""
    [finding] = result.findings
    return finding


def explain(text: str) -> str:
    """Return what the search says of a text for which it finds nothing."""
    result = search(text, origin=ORIGIN)
    assert result.findings == ()
    return result.sentence


def facts_of(finding: Finding) -> str:
    """Return all facts of a finding as one text."""
    return " | ".join(f"{fact.label}: {fact.text}" for fact in finding.facts)


def claim(token: str, name: str) -> str:
    """Return a claim of a signed token."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=="))[name])
