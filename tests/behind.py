"""A gateway of each kind in front of an API, and a portal that all of them ask."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.edges import edge
from tests.gateways import caddy, haproxy, nginx
from tests.http2 import http2
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.ports import free_port
from tests.services import serving
from tests.services.service import Service
from tests.wire import Reply, head, wire

OWNER: Final = "behind@example.com"


class Way(NamedTuple):
    """How a request reaches the API."""

    program: str
    """Also the mark of its tests."""
    start: Callable[..., Any]
    protocol: str = "http"
    """What the API speaks."""
    tls: bool = False


WAYS: Final = {
    "nginx": Way("nginx", nginx),
    "nginx-uwsgi": Way("nginx", partial(nginx, site="uwsgi"), "uwsgi"),
    "nginx-fastcgi": Way("nginx", partial(nginx, site="fastcgi"), "fastcgi"),
    "nginx-grpc": Way("nginx", partial(nginx, site="grpc"), "grpc", tls=True),
    "caddy": Way("caddy", caddy),
    "caddy-grpc": Way("caddy", partial(caddy, grpc=True), "grpc", tls=True),
    "haproxy": Way("haproxy", haproxy),
    "haproxy-grpc": Way("haproxy", partial(haproxy, grpc=True), "grpc"),
    "edge": Way("edge", edge),
}
GATEWAYS: Final = ("nginx", "caddy", "haproxy", "edge")
ASKING: Final = tuple(name for name, way in WAYS.items() if way.program != "edge")
"""Those that ask keyportal about every request."""
OF_HTTP_1: Final = tuple(name for name, way in WAYS.items() if way.protocol != "grpc")
OF_GRPC: Final = tuple(name for name, way in WAYS.items() if way.protocol == "grpc")


def behind_each(names: Iterable[str]) -> pytest.MarkDecorator:
    """Run a test behind each of these ways, as far as this machine has their programs."""
    ways = [pytest.param(name, marks=getattr(pytest.mark, WAYS[name].program)) for name in names]
    return pytest.mark.parametrize("behind", ways, indirect=True)


class Behind(NamedTuple):
    """A gateway, the portal that it asks, who may come in, and the API."""

    way: Way
    port: int
    portal: Portal
    reader: ClientKey
    writer: ClientKey
    owner: str
    service: Service

    def request(
        self, path: str, credential: str = "", *lines: str, method: str = "GET", body: bytes = b"", close: bool = True
    ) -> Reply:
        """Send a request with these header lines, byte for byte, and return the answer."""
        if credential:
            lines = (f"Authorization: Bearer {credential}", *lines)
        if self.way.protocol == "grpc":
            return self._call(path, lines, method, body)
        if body:
            lines = (f"Content-Length: {len(body)}", *lines)
        with wire(self.port) as line:
            line.send(head(method, path, *lines, close=close) + body)
            return line.reply(to_head=method == "HEAD")

    def _call(self, path: str, lines: Iterable[str], method: str, body: bytes) -> Reply:
        """Do so over HTTP/2, where names are in lower case; the body is one message of gRPC, both ways."""
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        with http2(self.port, tls=self.way.tls) as line:
            stream = line.open(method, path, headers, end=not body)
            if body:
                line.send(stream, iter([len(body).to_bytes(5, "big") + body]))
            answer = line.finish(stream)
        return Reply(answer.status, list(answer.headers.items()), answer.body[5:])


class Gateways:
    """Every gateway that a test has asked for, started once in a process."""

    def __init__(self, portal: Portal, folder: Path, stack: ExitStack) -> None:
        self._portal, self._folder, self._stack = portal, folder, stack
        self._owner = portal.make_developer(OWNER)
        for name in ("reports:read", "reports:write"):
            portal.shell(f"Scope.objects.create(name='{name}', description='x')")
        self._reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
        self._writer = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read", "--scope", "reports:write"))
        _, self._service_key = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")
        self._started: dict[str, Behind] = {}

    def behind(self, name: str, **options: Any) -> Behind:
        """Return a gateway by the name of its way; options are those of tests/gateways.py."""
        key = f"{name} {options}"
        if key not in self._started:
            self._started[key] = self._start(name, options)
        return self._started[key]

    @contextmanager
    def without_portal(self) -> Iterator[None]:
        """End the portal's server until the block is left."""
        self._portal.stop()
        try:
            yield
        finally:
            self._portal.start(workers=1)

    @contextmanager
    def with_silent_portal(self) -> Iterator[None]:
        """Stop every process of the portal where it stands: it takes what is sent, and says nothing."""
        assert self._portal.process
        main = self._portal.process.pid
        every = [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]
        for process in every:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(every):
                os.kill(process, signal.SIGCONT)

    def _start(self, name: str, options: dict[str, Any]) -> Behind:
        way, port = WAYS[name], free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        if way.program == "edge":
            (folder / "keyportal.key").write_text(self._service_key)
        api, service = self._stack.enter_context(serving(way.protocol))
        self._stack.enter_context(way.start(folder, port, [self._portal.port], api, **options))
        return Behind(way, port, self._portal, self._reader, self._writer, self._owner, service)
