"""A mail server of the tests' own: one that says nothing, refuses, falls silent in the middle, or does its work."""

import email
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from typing import Final

from tests.waiting import DEADLINE

END: Final = b".\r\n"


class Manners:
    """How the server behaves."""

    SILENT: Final = "takes a connection and says nothing"
    WORKING: Final = "takes every message"
    REFUSING: Final = "refuses every message"
    HOLDING: Final = "takes a message and says nothing of it, until it is let go"
    HANGING_UP: Final = "takes a message and hangs up"


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks SMTP (RFC 5321) at a port of 127.0.0.1, each connection in a thread."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, manners: str, port: int = 0) -> None:
        self.manners = manners
        self.connections = 0
        self.refused_addresses: set[str] = set()
        self.taken: list[Message] = []
        """What was handed over whole, in its order, whether or not the server has said that it has it."""
        self.go_on = threading.Event()
        super().__init__(("127.0.0.1", port), _Conversation)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def recipients(self) -> list[str]:
        """Return whom the messages were for, in the order in which they came."""
        return [str(message["To"]) for message in self.taken]


@contextmanager
def mail_server(manners: str = Manners.WORKING, port: int = 0) -> Iterator[MailServer]:
    """Start a mail server that listens until the block is left; its open connections end then."""
    with MailServer(manners, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        with suppress(ConnectionError):  # who hangs up
            self._converse()

    def _converse(self) -> None:
        self.server.connections += 1
        if self.server.manners == Manners.SILENT:
            self.server.go_on.wait(DEADLINE)
            return
        self._say(b"220 tests")
        while (line := self.rfile.readline()) and self._answer(line.strip()):
            continue

    def _answer(self, line: bytes) -> bool:
        """Answer one command; return whether the conversation goes on."""
        verb = line[:4].upper()
        if verb == b"DATA":
            return self._take()
        if verb == b"RCPT" and self._refuses(line.decode()):
            self._say(b"451 not now")
            return True
        self._say(b"221 bye" if verb == b"QUIT" else b"250 tests")
        return verb != b"QUIT"

    def _refuses(self, line: str) -> bool:
        return self.server.manners == Manners.REFUSING or any(one in line for one in self.server.refused_addresses)

    def _take(self) -> bool:
        self._say(b"354 go on")
        lines = []
        while (line := self.rfile.readline()) != END:
            if not line:
                return False
            lines.append(line)
        self.server.taken.append(email.message_from_bytes(b"".join(lines)))
        if self.server.manners == Manners.HANGING_UP:
            return False
        if self.server.manners == Manners.HOLDING:
            self.server.go_on.wait(DEADLINE)
        self._say(b"250 taken")
        return True

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")
