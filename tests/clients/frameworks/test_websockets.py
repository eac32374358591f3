"""Handshakes of WebSockets: their credential is checked before they are accepted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from httpx2 import Headers
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from keyportal_client import Credential, Refusal
from keyportal_client import fastapi as for_fastapi
from keyportal_client.asgi import KeyportalMiddleware
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.services import SCOPE

pytestmark = pytest.mark.once
EXTENSION: Final = "websocket.http.response"
CLOSE_CODES: Final = {"missing_credential": 3000, "insufficient_scope": 3003, "malformed_request": 1008}


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.state.credential.owner_id)
    await websocket.close()


def by_dependency() -> Any:
    app, keyportal = FastAPI(), for_fastapi.Keyportal()
    required = Depends(keyportal.requires(SCOPE))

    @app.websocket("/live")
    async def live(websocket: WebSocket, credential: Annotated[Credential, required]) -> None:
        await greet(websocket)

    return app


def by_middleware() -> Any:
    return KeyportalMiddleware(Starlette(routes=[WebSocketRoute("/live", greet)]), scopes=[SCOPE])


def without_extensions(app: Any) -> Any:
    """Return the application on a server that can't answer a handshake with a response."""

    async def older(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {}}, receive, send)

    return older


@pytest.fixture(params=[by_dependency, by_middleware])
def app(request: pytest.FixtureRequest, keyportal: InMemoryPortal) -> Any:
    """A service with a WebSocket, in both ways to protect it."""
    return request.param()


@contextmanager
def handshake(app: Any, *headers: str) -> Iterator[Any]:
    """Shake hands with these Authorization headers."""
    sent: Any = Headers([("Authorization", header) for header in headers])
    with TestClient(app) as client, client.websocket_connect("/live", headers=sent) as websocket:
        yield websocket


def test_a_good_credential_is_let_in(app: Any, api_key: MakeKey) -> None:
    with handshake(app, api_key([SCOPE]).header) as websocket:
        assert websocket.receive_text().startswith("usr_")


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_a_refused_handshake_is_told_why(app: Any, keyportal: InMemoryPortal, api_key: MakeKey, code: str) -> None:
    refusal = Refusal(code, (SCOPE,) if code == "insufficient_scope" else ())
    with pytest.raises(WebSocketDenialResponse) as denied, handshake(app, *headers_for(code, api_key)):
        pass
    response: Any = denied.value
    assert (response.status_code, response.headers["Content-Type"]) == (refusal.status, "application/problem+json")
    assert response.headers.get("WWW-Authenticate") == refusal.challenge()
    assert json.loads(response.content)["code"] == code


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_where_the_server_can_not_say_it_the_handshake_is_closed(
    app: Any, keyportal: InMemoryPortal, api_key: MakeKey, code: str
) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        handshake(without_extensions(app), *headers_for(code, api_key)),
    ):
        pass
    assert (closed.value.code, closed.value.reason) == (CLOSE_CODES[code], code)


def test_a_portal_that_is_away_asks_to_come_again(app: Any, keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    key = api_key([SCOPE])
    with keyportal.away(), pytest.raises(WebSocketDisconnect) as closed, handshake(without_extensions(app), key.header):
        pass
    assert closed.value.code == 1013


def headers_for(code: str, api_key: MakeKey) -> list[str]:
    """Return the Authorization headers of a handshake that is refused so."""
    enough, other = api_key([SCOPE]).header, api_key().header
    return {"missing_credential": [], "insufficient_scope": [other], "malformed_request": [enough, enough]}[code]
