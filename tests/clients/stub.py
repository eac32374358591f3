"""A server that is no portal, or a broken one: it answers what a test says, and remembers what it was sent."""

import contextlib
import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

KEY: Final = "kp_live_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
TOKENS: Final[dict[str, Any]] = {
    "access_token": "access-1",
    "refresh_token": "refresh-1",
    "expires_in": 600,
    "scope": "keys:read keys:write",
}
ME: Final[dict[str, Any]] = {
    **dict.fromkeys(("id", "client_id", "owner", "name"), "tok_1"),
    "kind": "access_token",
    "environment": "live",
    "scopes": [],
    "expires_at": None,
}
A_SECRET: Final[dict[str, Any]] = {
    "id": "sec_1",
    "hint": "kp_live_…LM",
    "created_at": "2026-01-01T00:00:00Z",
    "retires_at": None,
    "last_used_at": None,
}
A_KEY: Final[dict[str, Any]] = {
    **dict.fromkeys(("name", "paused_reason", "revoked_reason", "owner"), "x"),
    **dict.fromkeys(("expires_at", "paused_at", "paused_until", "revoked_at", "last_used_at", "rate_limit")),
    "id": "key_1",
    "environment": "live",
    "state": "active",
    "created_at": "2026-01-01T00:00:00Z",
    "scopes": [],
    "networks": [],
    "secrets": [],
}


class Received(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """One answer. Without a status, the connection is closed instead."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = {}  # noqa: RUF012  # never changed


def as_json(body: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer as the API gives it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status, json.dumps(body).encode(), "application/json" if status < 400 else "application/problem+json", named
    )


def problem(status: int, code: str, title: str = "No", **headers: str) -> Reply:
    """Return a problem detail."""
    return as_json({"title": title, "status": status, "detail": "Do this.", "code": code}, status, **headers)


Answer = Callable[[Received], Reply]


class Stub:
    """A running server: what it answers can be changed."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.url = ""
        self.connections: list[socket.socket] = []
        """Those that were made, where they are kept."""

    def drop_connections(self) -> None:
        """Close the connections that were kept, as a server does that starts anew; none that is made meanwhile."""
        dropped, self.connections = self.connections, []
        for connection in dropped:
            with contextlib.suppress(OSError):  # the client was first
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None, *, keeps: bool = False) -> Iterator[Stub]:
    """Serve on a port of 127.0.0.1 until the block is left. If it `keeps` connections, until the client closes them."""
    stub = Stub(answer)
    server = Server(("127.0.0.1", 0), handler_of(stub, keeps=keeps))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    stub.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.drop_connections()
        server.shutdown()
        server.server_close()
        thread.join()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a command need not wait for an answer
            super().handle_error(request, client_address)


def handler_of(stub: Stub, *, keeps: bool) -> type[BaseHTTPRequestHandler]:
    """Return what handles a connection to the stub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keeps else "HTTP/1.0"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            if keeps:
                stub.connections.append(self.connection)

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            length = int(self.headers.get("Content-Length", 0))
            request = Received(self.command, self.path, dict(self.headers), self.rfile.read(length))
            stub.received.append(request)
            reply = stub.answer(request)
            self.close_connection = not (keeps and reply.status)
            if reply.status:
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {
                "Content-Type": reply.kind,
                "Content-Length": str(len(reply.body)),
                **reply.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            return

    return Handler


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stub]:
    """A server that is taken for a portal, on a machine with a key for it."""
    with serving(lambda request: as_json(A_KEY)) as started:
        monkeypatch.setenv("KEYPORTAL_PORTAL", started.url)
        monkeypatch.setenv("KEYPORTAL_KEY", KEY)
        monkeypatch.setenv("KEYPORTAL_CONFIG_DIR", str(tmp_path))
        yield started
