"""The API in HTTP/1.1, WebSocket included."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.services import websocket
from tests.services.service import Body, Service

PIECE = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service

    def answer(self) -> None:
        """Answer one request."""
        body = Body()
        self.trailers: list[tuple[str, str]] = []
        for piece in self._body():
            body.add(piece)
        # Some servers make headers of what stands behind a body (RFC 9110 §6.5).
        reply = self.service.answer(self.command, self.path, [*self.headers.items(), *self.trailers], body)
        if self.headers.get("Upgrade"):
            self.close_connection = True
            websocket.echo(self.headers["Sec-WebSocket-Key"], self.rfile.read, self.wfile.write)
            return
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if not isinstance(reply.pieces, Sequence):
            # What lasts ends with the connection, as behind WSGI, where nobody makes chunks of it.
            self.send_header("Connection", "close")
        elif reply.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(sum(map(len, reply.pieces))))
        self.end_headers()
        if self.command != "HEAD":
            for piece in reply.pieces:
                self.wfile.write(piece)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_TRACE = do_PURGE = answer  # noqa: N815  # http.server's names

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            while line := self.rfile.readline().strip().decode("latin-1"):
                name, _, value = line.partition(": ")
                self.trailers.append((name, value))
            return
        missing = int(self.headers.get("Content-Length", 0))
        while missing and (piece := self.rfile.read(min(PIECE, missing))):
            missing -= len(piece)
            yield piece
