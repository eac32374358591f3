"""Services ask about a token under their own name: `audience` at verify, `audience=` at forward-auth."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from gateway.forward_auth import PATH, ForwardAuthRequest, decide
from tests.conftest import MakeKey
from tests.tokens.audiences import ORDERS, REPORTS, Swap, orders, reports, swap

__all__ = ["orders", "reports", "swap"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H39"), pytest.mark.usefixtures("reports", "orders")]
OWN = "https://portal.test"
Ask = Callable[[str, str | None], str]


@pytest.fixture(params=["verify", "forward-auth"])
def ask(request: pytest.FixtureRequest, client: Client, make_key: MakeKey) -> Ask:
    """Return how a credential is answered by code: `ok` if it is good for this audience."""
    _, service = make_key(scopes=["credentials:verify"], restricted=True)

    def by_verify(credential: str, audience: str | None) -> str:
        body: dict[str, Any] = {"credential": credential, **({"audience": audience} if audience else {})}
        head = {"Authorization": f"Bearer {service}"}
        answer = client.post("/api/v1/verify", json.dumps(body), "application/json", secure=True, headers=head)
        return str(answer.json()["code"])

    def by_forward_auth(credential: str, audience: str | None) -> str:
        query = urlencode({"audience": audience}) if audience else ""
        status, headers = decide(ForwardAuthRequest(f"Bearer {credential}", query, path=PATH, address=None))
        return "ok" if status == 200 else dict(headers)["X-Keyportal-Code"]

    return by_verify if request.param == "verify" else by_forward_auth


def test_a_token_is_good_where_it_is_for_and_nowhere_else(ask: Ask, swap: Swap) -> None:
    of_reports, own = swap(REPORTS)[2], swap(None)[2]
    for _ in range(2):  # looked up, and from the cache
        assert ask(of_reports, REPORTS) == "ok"
        for audience in (None, ORDERS, OWN, "https://nobody.test", REPORTS + "/", REPORTS.upper()):
            assert ask(of_reports, audience) == "invalid_token", audience
        assert ask(own, None) == ask(own, OWN) == "ok"
        assert ask(own, REPORTS) == "invalid_token"


def test_an_api_key_has_no_audience(ask: Ask, make_key: MakeKey) -> None:
    _, secret = make_key()
    assert {ask(secret, audience) for audience in (None, REPORTS, ORDERS, OWN, "https://nobody.test")} == {"ok"}
