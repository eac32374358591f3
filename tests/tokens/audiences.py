"""Services that tokens are for, for the tests of audiences."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apikeys.models import APIKey
from apikeys.verification import verify as verify_key
from credentials.scopes.models import Scope
from tests.conftest import ORIGIN, MakeKey
from tests.tokens.endpoints import bearer
from tokens import services
from tokens.models import Audience

REPORTS = "https://reports.test"
ORDERS = "urn:example:orders"
Swap = Callable[..., tuple[APIKey, str, str]]


@pytest.fixture
def reports(db: None) -> Audience:
    """A service with a name of its own."""
    return services.add_audience(uri=REPORTS, description="Reports", origin=ORIGIN)


@pytest.fixture
def orders(db: None) -> Audience:
    """Another one."""
    return services.add_audience(uri=ORDERS, description="Orders", origin=ORIGIN)


@pytest.fixture
def swap(make_key: MakeKey, scopes: list[Scope]) -> Swap:
    """Make a key, and an access token that it was swapped for."""

    def make(resource: str | None = REPORTS, **fields: Any) -> tuple[APIKey, str, str]:
        key, secret = make_key(**fields)
        client = verify_key(secret, address=None)
        issued = services.issue_to_key(client=client, scopes=None, origin=ORIGIN, resource=resource)
        return key, secret, issued.access_token

    return make


def code_of(client: Client, credential: str) -> str:
    """Return how the portal's own API answers a credential: its code, or `ok`."""
    answer = client.get("/api/v1/me", secure=True, headers=bearer(credential))
    return "ok" if answer.status_code == 200 else str(answer.json()["code"])
