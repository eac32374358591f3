"""A TCP proxy that a test can cut, make silent without a word, or have keep back what a listener would hear."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.ports import free_port


class Line:
    """One connection through the proxy, and what was said over it."""

    def __init__(self, client: socket.socket, server: socket.socket, *, deaf_to: bytes = b"") -> None:
        self.ends = (client, server)
        self._deaf_to = deaf_to
        self.said = b""
        self.passing = True
        self.listens = False
        """Whether `LISTEN` was said over it."""
        self.answers = threading.Event()
        self.answers.set()
        self.kept_back: int | None = None
        """How many bytes at the end of an answer wait, while `answers` is not set; None for all of it."""
        for source, target in (self.ends, self.ends[::-1]):
            threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def close(self) -> None:
        """End both ends."""
        self.answers.set()
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if source is self.ends[0]:
                    self.said = (self.said + chunk)[-4096:]
                    self.listens |= b"LISTEN" in chunk
                    if self._deaf_to and self._deaf_to in chunk:
                        self.passing = False
                else:
                    if self.kept_back and not self.answers.is_set():
                        target.sendall(chunk[: -self.kept_back])
                        chunk = chunk[-self.kept_back :]  # what is left of it
                    self.answers.wait()
                if self.passing:
                    target.sendall(chunk)
        self.close()


class Proxy:
    """Passes bytes between its own port and another, until it is told otherwise."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = free_port()
        self.lines: list[Line] = []
        self.deaf_to = b""
        """Lines that are made from now on pass nothing on once this is said over them."""
        self.refused = 0
        """Connections that were ended at once, because no server is behind the proxy."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self, said: bytes) -> int:
        """Take everything and pass nothing on, on every line over which this was said; return how many there are.

        The sender gets TCP's acknowledgement: only an answer that never comes gives it away.
        """
        silenced = [line for line in self.lines if said in line.said]
        for line in silenced:
            line.passing = False
        return len(silenced)

    def hold(self) -> int:
        """Keep back what is sent to lines that listen, until it is let go; return how many lines listen."""
        listening = [line for line in self.lines if line.listens]
        for line in listening:
            line.answers.clear()
        return len(listening)

    def let_go(self) -> None:
        """Pass on what was kept back."""
        for line in self.lines:
            line.answers.set()

    def cut(self) -> None:
        """End every connection that there is."""
        lines, self.lines = self.lines, []
        for line in lines:
            line.close()

    def close(self) -> None:
        """End."""
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
                self.lines.append(Line(client, server, deaf_to=self.deaf_to))
            except ConnectionError:
                self.refused += 1
                client.close()
            except OSError:
                return


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Start a proxy to this port of 127.0.0.1."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
