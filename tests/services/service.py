"""What an API of the tests does, in whatever protocol it is asked: it says what arrived, and notes it."""

import json
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

KEPT: Final = 1000
"""Bytes of a body that are repeated."""
READ_WITHIN: Final = 20.0
"""Seconds until a stream goes on although its beginning was not read: so a test fails before it hangs."""
FIRST, READ, UNREAD = b"the first", b"the last, and the first was read", b"the last, and nobody has read the first"
ALLOWED: Final = [("Access-Control-Allow-Origin", "https://app.example.com"), ("Access-Control-Max-Age", "60")]


class Call(NamedTuple):
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, list[str]]
    """By their names as CGI and PHP read them, in lower case and with hyphens."""
    body: str
    size: int

    def header(self, name: str) -> str | None:
        """Return a header's only value; None if there is none."""
        values = self.headers.get(name, [])
        assert len(values) < 2, (name, values)
        return values[0] if values else None


class Reply(NamedTuple):
    """What the API answers."""

    status: int
    headers: list[tuple[str, str]]
    pieces: Iterable[bytes]


class Body:
    """A body on its way: its beginning, and how much there was."""

    def __init__(self) -> None:
        self.beginning = b""
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self.beginning = (self.beginning + piece)[:KEPT] if self.size < KEPT else self.beginning
        self.size += len(piece)


class Service:
    """The behaviour, and what it has seen."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.first_was_read = threading.Event()

    @property
    def request_count(self) -> int:
        """How many requests have arrived."""
        return len(self.calls)

    def answer(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: Body) -> Reply:
        """Note a request and return what it is answered."""
        folded: dict[str, list[str]] = {}
        for name, value in headers:
            folded.setdefault(re.sub("[^a-z0-9]", "-", name.lower()), []).append(value)
        call = Call(method, path, folded, body.beginning.decode("latin-1"), body.size)
        self.calls.append(call)
        if path.endswith("/events"):
            return Reply(200, [("Content-Type", "text/event-stream")], self._events())
        if method == "OPTIONS" and "access-control-request-method" in folded:
            return Reply(204, ALLOWED, ())
        if path.endswith("/refused-by-the-api"):
            return Reply(403, [("X-Why", "the API's own reason"), *ALLOWED], [b"no"])
        return Reply(200, [("Content-Type", "application/json")], [json.dumps(call._asdict()).encode()])

    def _events(self) -> Iterator[bytes]:
        """Say something, and the rest when that has been read."""
        self.first_was_read.clear()
        yield b"data: %s\n\n" % FIRST
        yield b"data: %s\n\n" % (READ if self.first_was_read.wait(READ_WITHIN) else UNREAD)
