"""The API in gRPC: HTTP/2 without TLS, messages behind a length, the status in trailers."""

import socket
import struct
import threading
from socketserver import BaseRequestHandler

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded

from tests.services.service import Body, Service

PREFIX = struct.Struct(">?I")
WINDOW = 1 << 20


class Handler(BaseRequestHandler):
    """One connection."""

    service: Service

    def handle(self) -> None:
        """Answer its calls, until the other end closes."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        configuration = H2Configuration(client_side=False, header_encoding="latin-1", validate_inbound_headers=False)
        self.line = H2Connection(configuration)
        self.lock = threading.Lock()
        self.calls: dict[int, tuple[list[tuple[str, str]], Body]] = {}
        with self.lock:
            self.line.initiate_connection()
            self.line.increment_flow_control_window(WINDOW)
            self._flush()
        while data := self.request.recv(1 << 16):
            with self.lock:
                ended = [stream for event in self.line.receive_data(data) if (stream := self._note(event))]
                self._flush()
            for stream in ended:
                threading.Thread(target=self._answer, args=(stream,), daemon=True).start()

    def _note(self, event: Event) -> int:
        """Take what arrived; return the stream if it is complete."""
        if isinstance(event, RequestReceived):
            self.calls[event.stream_id] = ([(str(name), str(value)) for name, value in event.headers], Body())
        elif isinstance(event, DataReceived):
            self.calls[event.stream_id][1].add(event.data)
            self.line.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            return event.stream_id
        return 0

    def _answer(self, stream: int) -> None:
        headers, body = self.calls.pop(stream)
        given = dict(headers)
        metadata = [pair for pair in headers if not pair[0].startswith(":")]
        reply = self.service.answer(given[":method"], given[":path"], metadata, body)
        self._send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        for piece in reply.pieces:
            with self.lock:
                self.line.send_data(stream, PREFIX.pack(False, len(piece)) + piece)
                self._flush()
        self._send_headers(stream, [("grpc-status", "0")], end=True)

    def _send_headers(self, stream: int, headers: list[tuple[str, str]], *, end: bool = False) -> None:
        with self.lock:
            self.line.send_headers(stream, headers, end_stream=end)
            self._flush()

    def _flush(self) -> None:
        self.request.sendall(self.line.data_to_send())
