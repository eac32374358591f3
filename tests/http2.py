"""A client that speaks HTTP/2, and gRPC on top, and changes nothing of the names that it is told to send."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

from tests.waiting import DEADLINE

PIECE: Final = 1 << 16


class Answer2(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]


class Stream:
    """One request and what has come back for it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.body = b""
        self.is_terminal = False

    def take(self, event: Event) -> None:
        """Note something that arrived."""
        if isinstance(event, ResponseReceived):
            self.headers = {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, TrailersReceived):
            self.trailers = {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, DataReceived):
            self.body += event.data
        elif isinstance(event, StreamEnded | StreamReset):
            self.is_terminal = True


class Http2:
    """One connection, one request after the other."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        configuration = H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._line = H2Connection(configuration)
        self._line.initiate_connection()
        self._flush()

    def open(self, method: str, path: str, headers: list[tuple[str, str]], *, end: bool = True) -> Stream:
        """Send a request's head; `end` says that there is no body."""
        stream = Stream(self._line.get_next_available_stream_id())
        pseudo = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "127.0.0.1")]
        self._line.send_headers(stream.number, [*pseudo, *headers], end_stream=end)
        self._flush()
        return stream

    def send(self, stream: Stream, body: Iterator[bytes]) -> None:
        """Send a body to its end, or until the answer is there."""
        for piece in body:
            rest = memoryview(piece)
            while rest:
                self.read(stream, lambda: self._line.local_flow_control_window(stream.number) > 0)
                if stream.is_terminal:
                    return
                size = min(self._line.local_flow_control_window(stream.number), self._line.max_outbound_frame_size)
                self._line.send_data(stream.number, bytes(rest[:size]))
                rest = rest[size:]
                self._flush()
        self._line.end_stream(stream.number)
        self._flush()

    def read(self, stream: Stream, enough: Callable[[], bool]) -> None:
        """Read until it is enough, or the answer is complete."""
        while not stream.is_terminal and not enough():
            data = self._socket.recv(PIECE)
            if not data:
                raise ConnectionError("closed")
            for event in self._line.receive_data(data):
                if getattr(event, "stream_id", None) == stream.number:
                    stream.take(event)
                if isinstance(event, DataReceived) and event.flow_controlled_length:
                    self._line.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._flush()

    def finish(self, stream: Stream) -> Answer2:
        """Wait for the end of an answer."""
        self.read(stream, lambda: False)
        assert stream.headers, "the stream was reset"
        return Answer2(int(stream.headers[":status"]), stream.headers, stream.body, stream.trailers)

    def _flush(self) -> None:
        self._socket.sendall(self._line.data_to_send())


@contextmanager
def http2(port: int, *, tls: bool) -> Iterator[Http2]:
    """Open a connection to a port of this machine, and end it."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not tls:
            yield Http2(plain)
            return
        with unverified("h2").wrap_socket(plain) as line:
            assert line.selected_alpn_protocol() == "h2"
            yield Http2(line)


def unverified(*protocols: str) -> ssl.SSLContext:
    """Return how TLS is spoken to a server whose certificate vouches for itself."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context
