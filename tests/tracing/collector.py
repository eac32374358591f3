"""A collector that takes OTLP over HTTP, and keeps what it was sent; and a portal that sends its traces there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.portal import Portal
from tests.ports import free_port


class TracedPortal(Portal):
    """A portal that starts with all that is installed, as in production with the packages that export traces."""

    python_path = ""


class Collector:
    """What arrived, as it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each."""
        self.hangs = threading.Event()
        """Set, it takes requests and never answers, until it is released."""
        self.release = threading.Event()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["Collector"]:
        """Serve until the block is left."""
        with ThreadingHTTPServer(("127.0.0.1", self.port), self._handler()) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.release.set()
                server.shutdown()

    def spans(self) -> list[Span]:
        """Return every span, in the order of arrival."""
        return [
            span
            for body in list(self.bodies)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resources(self) -> list[dict[str, Any]]:
        """Return the attributes of what sent them."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [attributes(one.resource) for request in requests for one in request.resource_spans]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                collector.bodies.append(body)
                if collector.hangs.is_set():
                    collector.release.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *line: object) -> None:
                """Print nothing."""

        return Handler


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span or a resource."""
    return {one.key: one.value.string_value or one.value.int_value for one in of.attributes}
