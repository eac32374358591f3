"""The API in uwsgi: a packet of variables, the body, and an answer as in HTTP."""

import struct
from collections.abc import Iterator
from http import HTTPStatus
from socketserver import StreamRequestHandler

from tests.services import websocket
from tests.services.service import Body, Reply, Service

PIECE = 1 << 16


class Handler(StreamRequestHandler):
    """One connection, which is one request."""

    disable_nagle_algorithm = True
    service: Service

    def handle(self) -> None:
        """Answer it."""
        head = self.rfile.read(4)
        if not head:
            return  # somebody looks whether there is anybody
        _, size, _ = struct.unpack("<BHB", head)
        variables = list(self._variables(self.rfile.read(size)))
        given = dict(variables)
        body = Body()
        missing = int(given.get("CONTENT_LENGTH") or 0)
        while missing and (piece := self.rfile.read(min(PIECE, missing))):
            missing -= len(piece)
            body.add(piece)
        reply = self.service.answer(given["REQUEST_METHOD"], given["REQUEST_URI"], headers_of(variables), body)
        if given.get("HTTP_UPGRADE"):
            websocket.echo(given["HTTP_SEC_WEBSOCKET_KEY"], self.rfile.read, self.wfile.write)
            return
        self.wfile.write(b"HTTP/1.1 %d %s\r\n" % (reply.status, HTTPStatus(reply.status).phrase.encode()))
        self.wfile.write(head_of(reply))
        for piece in reply.pieces:
            self.wfile.write(piece)

    def _variables(self, packet: bytes) -> Iterator[tuple[str, str]]:
        place = 0
        while place < len(packet):
            pair = []
            for _ in range(2):
                (length,) = struct.unpack_from("<H", packet, place)
                pair.append(packet[place + 2 : place + 2 + length].decode("latin-1"))
                place += 2 + length
            yield pair[0], pair[1]


def headers_of(variables: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers among the variables of CGI (RFC 3875 §4.1.18)."""
    return [(name.removeprefix("HTTP_"), value) for name, value in variables if name.startswith("HTTP_")]


def head_of(reply: Reply) -> bytes:
    """Return the headers of an answer, and the empty line."""
    return "".join([*(f"{name}: {value}\r\n" for name, value in reply.headers), "\r\n"]).encode()
