"""A client that sends bytes as they are, as slowly as a test wants."""

import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from tests.waiting import DEADLINE


class Reply(NamedTuple):
    """One answer, byte for byte."""

    status: int
    headers: list[tuple[str, str]]
    """Names in lower case, in the order in which they came."""
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header; empty if there is none."""
        return dict(self.headers).get(name, "")

    @property
    def json(self) -> dict[str, Any]:
        """The body, read as JSON."""
        value: dict[str, Any] = json.loads(self.body)
        return value


class Wire:
    """One connection."""

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        source: str = "127.0.0.1",
        timeout: float = DEADLINE,
    ) -> None:
        """Connect from one of this machine's addresses. `timeout`: seconds that it waits for whatever comes."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket)
        self._received = b""

    def send(self, data: bytes) -> "Wire":
        """Send bytes as they are. A server that has answered already may have closed; its answer can still be read."""
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            self._socket.sendall(data)
        return self

    def fileno(self) -> int:
        """Return what `select` takes."""
        return self._socket.fileno()

    def half_close(self) -> "Wire":
        """Say that nothing more comes."""
        self._socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self, *, to_head: bool = False) -> Reply:
        """Wait for one answer. Raises `ConnectionError` if none comes."""
        while b"\r\n\r\n" not in self._received:
            self._read()
        head, _, rest = self._received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        self._received = rest
        if dict(headers).get("transfer-encoding") == "chunked" and not to_head:
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.read(0 if to_head else int(dict(headers).get("content-length", "0")))
        return Reply(int(status.split()[1]), headers, body)

    def read(self, length: int) -> bytes:
        """Wait for so many bytes. Raises `ConnectionError` if they don't come."""
        while len(self._received) < length:
            self._read()
        data, self._received = self._received[:length], self._received[length:]
        return data

    def read_until(self, end: bytes) -> bytes:
        """Wait for these bytes, and return all until then. Raises `ConnectionError` if they don't come."""
        while end not in self._received:
            self._read()
        return self.read(self._received.index(end) + len(end))

    def is_closed(self) -> bool:
        """Wait for the other end to close, and tell whether nothing more came before."""
        try:
            while chunk := self._socket.recv(65536):
                self._received += chunk
        except ConnectionResetError:
            return True
        return not self._received

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _chunk(self) -> bytes:
        data = self.read(int(self.read_until(b"\r\n"), 16))
        self.read_until(b"\r\n")
        return data

    def _read(self) -> None:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError(f"closed after {len(self._received)} bytes")
        self._received += chunk


@contextmanager
def wire(port: int, *, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> Iterator[Wire]:
    """Open a connection to a port of this machine, from one of its own addresses, and end it."""
    opened = Wire(port, tls=tls, source=source)
    try:
        yield opened
    finally:
        opened.close()


def exchange(
    port: int,
    data: bytes,
    *,
    half_closed: bool = False,
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
) -> Reply:
    """Send bytes over a connection of their own, and return the first answer."""
    with wire(port, tls=tls, source=source) as opened:
        opened.send(data)
        if half_closed:
            opened.half_close()
        return opened.reply()


def head(method: str, path: str, *lines: str, host: str = "127.0.0.1", close: bool = True) -> bytes:
    """Return a request's head with these lines, of which each character is a byte."""
    every = [f"{method} {path} HTTP/1.1", *([f"Host: {host}"] if host else []), *lines]
    every += ["Connection: close"] if close else []
    return ("\r\n".join(every) + "\r\n\r\n").encode("latin-1")


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def field(text: str, name: str) -> str:
    """Return the value of a hidden field of a form."""
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, name
    return found[1]
