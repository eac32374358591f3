"""The same service in each framework: `/reports` needs a live credential with `reports:read`, and says whose it is.

It runs in this process, behind the framework's own test client.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, Final, NamedTuple, Protocol

from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.test import Client, override_settings
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from flask import Flask, g
from httpx2 import Headers
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyportal_client import Credential
from keyportal_client import fastapi as for_fastapi
from keyportal_client import flask as for_flask
from keyportal_client import starlette as for_starlette
from keyportal_client.asgi import KeyportalMiddleware
from tests.waiting import DEADLINE

PEER: Final = "192.0.2.1"
SCOPE: Final = "reports:read"


class Seen(NamedTuple):
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Service(Protocol):
    """A service. Headers may be repeated."""

    def __call__(self, *headers: tuple[str, str], peer: str = PEER) -> Seen: ...


def seen_by(app: Any) -> Service:
    """Return an application of ASGI behind Starlette's test client."""

    def ask(*headers: tuple[str, str], peer: str = PEER) -> Seen:
        response = TestClient(app, client=(peer, 50000)).get("/reports", headers=list(headers))
        return Seen(response.status_code, response.headers, response.json())

    return ask


@contextmanager
def fastapi_service(**options: Any) -> Iterator[Service]:
    app, keyportal = FastAPI(), for_fastapi.Keyportal(**options)
    required = Depends(keyportal.requires(SCOPE, environment="live"))
    find_user = Depends(keyportal.user(SCOPE)) if "user" in options else Depends(lambda: None)

    @app.get("/reports")
    def reports(request: Request, credential: Annotated[Credential, required], user: Annotated[Any, find_user]) -> Any:
        assert request.state.credential is credential
        return {"owner": credential.owner_id, "user": user}

    yield seen_by(app)


async def starlette_view(request: StarletteRequest) -> JSONResponse:
    state = request.state
    return JSONResponse({"owner": state.credential.owner_id, "user": getattr(state, "user", None)})


@contextmanager
def starlette_service(**options: Any) -> Iterator[Service]:
    keyportal = for_starlette.Keyportal(**options)
    middleware = [keyportal.requires(SCOPE, environment="live")]
    yield seen_by(Starlette(routes=[Route("/reports", starlette_view, middleware=middleware)]))


@contextmanager
def whole_starlette_service(**options: Any) -> Iterator[Service]:
    middleware = Middleware(KeyportalMiddleware, scopes=[SCOPE], environment="live", **options)
    yield seen_by(Starlette(routes=[Route("/reports", starlette_view)], middleware=[middleware]))


def flask_service_of(view: Callable[[], Any]) -> Callable[..., AbstractContextManager[Service]]:
    @contextmanager
    def service(**options: Any) -> Iterator[Service]:
        app, keyportal = Flask("service"), for_flask.Keyportal(**options)
        app.get("/reports")(keyportal.requires(SCOPE, environment="live")(view))

        def ask(*headers: tuple[str, str], peer: str = PEER) -> Seen:
            response = app.test_client().get("/reports", headers=list(headers), environ_base={"REMOTE_ADDR": peer})
            return Seen(response.status_code, Headers(list(response.headers)), response.json)

        yield ask

    return service


def flask_view() -> Any:
    return {"owner": g.credential.owner_id, "user": g.get("user")}


async def async_flask_view() -> Any:
    await asyncio.sleep(0)
    return flask_view()


def as_django(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a project that these options are for. The portal's own settings, as in tests, are not."""
    given = {"audience": None, "trusted_proxies": (), "environment": "live", "user": None, **options}
    return {
        "ROOT_URLCONF": "tests.clients.frameworks.django_urls",
        "MIDDLEWARE": ["keyportal_client.django.KeyportalMiddleware"],
        "REST_FRAMEWORK": {"EXCEPTION_HANDLER": "keyportal_client.drf.exception_handler"},
        "ALLOWED_HOSTS": ["testserver"],
        **{f"KEYPORTAL_{name.upper()}": value for name, value in given.items()},
    }


def joined(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return headers as servers of WSGI pass them on, whose repeated ones are joined."""
    names = {name for name, _ in headers}
    return {wanted: ",".join(value for name, value in headers if name == wanted) for wanted in names}


def django_service_at(path: str) -> Callable[..., AbstractContextManager[Service]]:
    @contextmanager
    def service(**options: Any) -> Iterator[Service]:
        def ask(*headers: tuple[str, str], peer: str = PEER) -> Seen:
            response = Client().get(path, headers=joined(headers), REMOTE_ADDR=peer)
            return Seen(response.status_code, response.headers, response.json())

        with override_settings(**as_django(options)):
            yield ask

    return service


def async_django_service_at(path: str) -> Callable[..., AbstractContextManager[Service]]:
    @contextmanager
    def service(**options: Any) -> Iterator[Service]:
        def ask(*headers: tuple[str, str], peer: str = PEER) -> Seen:
            return asyncio.run(exchange(ASGIHandler(), path, headers, peer))

        with override_settings(**as_django(options)):
            yield ask

    return service


async def exchange(app: Any, path: str, headers: tuple[tuple[str, str], ...] = (), peer: str = PEER) -> Seen:
    """Return what an application of ASGI answers on a connection that stays."""
    raw = [(b"host", b"testserver"), *((name.lower().encode(), value.encode()) for name, value in headers)]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": raw,
        "client": (peer, 50000),
    }
    connection: Any = ApplicationCommunicator(app, scope)  # type: ignore[no-untyped-call]
    await connection.send_input({"type": "http.request"})
    start, body = [await connection.receive_output(DEADLINE) for _ in range(2)]
    await connection.wait(DEADLINE)
    return Seen(start["status"], Headers(start["headers"]), json.loads(body["body"]))


Services = dict[str, Callable[..., AbstractContextManager[Service]]]

SERVICES: Final[Services] = {
    "fastapi": fastapi_service,
    "starlette": starlette_service,
    "flask": flask_service_of(flask_view),
    "django": django_service_at("/reports"),
    "django, async": async_django_service_at("/async"),
    "rest framework": django_service_at("/drf"),
}
VARIANTS: Final[Services] = {
    "all of starlette": whole_starlette_service,
    "flask, async": flask_service_of(async_flask_view),
    "django, a class": django_service_at("/class"),
    "django, an async class": async_django_service_at("/async-class"),
    "django, lazily": django_service_at("/lazy"),
    "django, lazily async": async_django_service_at("/async-lazy"),
}
"""Other ways to write the same. What they share with the ones above is tried there."""
