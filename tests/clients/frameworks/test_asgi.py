"""What the middleware for ASGI does beside checking: what it leaves alone, and what it leaves behind."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from keyportal_client.errors import ConfigurationError
from keyportal_client.starlette import Keyportal, KeyportalMiddleware
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.services import SCOPE

pytestmark = pytest.mark.once
ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
CORS = Middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_headers=["Authorization"])


async def state(request: Request) -> JSONResponse:
    return JSONResponse({"method": request.method, "credential": hasattr(request.state, "credential")})


def protected(*outside: Middleware, inside: tuple[Middleware, ...] = (), **options: Any) -> TestClient:
    middleware = [*outside, Middleware(KeyportalMiddleware, **options), *inside]
    return TestClient(Starlette(routes=[Route("/", state, methods=["GET", "OPTIONS"])], middleware=middleware))


@pytest.mark.parametrize("order", [{"outside": (CORS,)}, {"inside": (CORS,)}])
def test_a_preflight_is_answered_by_the_application(keyportal: InMemoryPortal, order: Any) -> None:
    client = protected(*order.get("outside", ()), inside=order.get("inside", ()))
    response = client.options("/", headers=PREFLIGHT)
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)


def test_a_refusal_inside_of_cors_can_be_read_by_the_browser(keyportal: InMemoryPortal) -> None:
    response = protected(CORS).get("/", headers={"Origin": ORIGIN})
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


@pytest.mark.parametrize("headers", [{}, {"Origin": ORIGIN}, {**PREFLIGHT, "Authorization": "Bearer none"}])
def test_other_requests_for_options_need_a_credential(keyportal: InMemoryPortal, headers: dict[str, str]) -> None:
    assert protected().options("/", headers=headers).status_code == 401


def test_a_preflight_has_no_credential(keyportal: InMemoryPortal) -> None:
    assert protected().options("/", headers=PREFLIGHT).json() == {"method": "OPTIONS", "credential": False}


def test_head_is_checked_as_get_is(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    client = protected(scopes=[SCOPE])
    assert client.head("/").status_code == 401
    assert client.head("/", headers=api_key([SCOPE]).headers).status_code == 200


def test_routes_share_one_verifier_and_a_request_is_counted_once(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    shared = Keyportal()
    routes = [Route("/reports", state, middleware=[shared.requires(SCOPE)]), Route("/open", state)]
    app = Starlette(routes=[Mount("/api", routes=routes, middleware=[shared.requires()])])
    client, key, other = TestClient(app), api_key([SCOPE]), api_key()
    assert client.get("/api/reports", headers=key.headers).json()["credential"]
    assert client.get("/api/open", headers=key.headers).json()["credential"]
    assert client.get("/api/reports", headers=other.headers).status_code == 403
    assert keyportal.usage == {key.id: {"accepted": 2}, other.id: {"accepted": 1}}


def test_one_middleware_believes_nothing_that_another_found_out(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    key = api_key([SCOPE])
    inner = Keyportal(trust="assertion", audience="https://inner.example.com")
    app = Starlette(routes=[Route("/", state, middleware=[Keyportal().requires(SCOPE), inner.requires(SCOPE)])])
    assert TestClient(app).get("/", headers=key.headers).json()["code"] == "missing_credential"


def test_nothing_of_a_request_is_left_in_what_the_server_shares(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    shared: dict[str, Any] = {"pool": 1}
    app = KeyportalMiddleware(Starlette(routes=[Route("/", state)]))

    async def server(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": shared}, receive, send)

    assert TestClient(server).get("/", headers=api_key().headers).json()["credential"]
    assert shared == {"pool": 1}


def test_what_can_not_be_meant_is_said_at_once() -> None:
    app = Starlette()
    with pytest.raises(ValueError, match="not one name"):
        KeyportalMiddleware(app, scopes="reports:read")
    with pytest.raises(ConfigurationError, match="audience"):
        KeyportalMiddleware(app, trust="assertion")
    with pytest.raises(ConfigurationError, match="The options are"):
        KeyportalMiddleware(app, trusted_proxy=["10.0.0.1"])  # type: ignore[call-arg]
