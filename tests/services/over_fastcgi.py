"""The API in FastCGI: records of one request a connection, as nginx sends them by default."""

import struct
from collections.abc import Iterator
from socketserver import StreamRequestHandler

from tests.services.over_uwsgi import head_of, headers_of
from tests.services.service import Body, Service

END_REQUEST, PARAMS, STDIN, STDOUT = 3, 4, 5, 6
HEADER = struct.Struct(">BBHHBx")
LONG = 0x80


class Handler(StreamRequestHandler):
    """One connection, which is one request."""

    disable_nagle_algorithm = True
    service: Service

    def handle(self) -> None:
        """Answer it."""
        packet, body = b"", Body()
        for kind, content in self._records():
            if kind == PARAMS:
                packet += content
            elif kind == STDIN and content:
                body.add(content)
            elif kind == STDIN:
                self._answer(list(_variables(packet)), body)
                return

    def _answer(self, variables: list[tuple[str, str]], body: Body) -> None:
        given = dict(variables)
        reply = self.service.answer(given["REQUEST_METHOD"], given["REQUEST_URI"], headers_of(variables), body)
        self._write(STDOUT, b"Status: %d\r\n" % reply.status + head_of(reply))
        for piece in reply.pieces:
            self._write(STDOUT, piece)
        self._write(STDOUT, b"")
        self._write(END_REQUEST, bytes(8))

    def _records(self) -> Iterator[tuple[int, bytes]]:
        while head := self.rfile.read(HEADER.size):
            _, kind, _, length, padding = HEADER.unpack(head)
            yield kind, self.rfile.read(length + padding)[:length]

    def _write(self, kind: int, content: bytes) -> None:
        self.wfile.write(HEADER.pack(1, kind, 1, len(content), 0) + content)


def _variables(packet: bytes) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(packet):
        lengths = []
        for _ in range(2):
            if packet[place] & LONG:
                (length,) = struct.unpack_from(">I", packet, place)
                lengths.append(length & 0x7FFFFFFF)
                place += 4
            else:
                lengths.append(packet[place])
                place += 1
        name, value = packet[place : place + lengths[0]], packet[place + lengths[0] : place + sum(lengths)]
        yield name.decode(), value.decode("latin-1")
        place += sum(lengths)
