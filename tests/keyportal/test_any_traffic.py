"""Whatever is sent, in whatever pieces, by however slow a client: nothing is lost, kept or answered twice."""

import random
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.conf import settings

from keyportal.http_server.server import HEADS_BUFFER, HTTPServer
from tests.http_server import OtherEnd

pytestmark = pytest.mark.once
METHODS: Final = (b"GET", b"POST", b"POST", b"HEAD", b"CONNECT", b"PUT")
PATHS: Final = (b"/keys/", b"/oauth/token", b"/healthz", b"http://h/keys/", b"*", b"h:1")
LINES: Final = (
    [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"],
    [b"Connection: close"],
    [b"Connection: keep-alive"],
    [b"Expect: 100-continue"],
    [b"X: " + b"a" * 20_000],
    [b"Transfer-Encoding: gzip"],
    [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
)
TRAILERS: Final = (b"", b"", b"X-T: 1\r\n", b"Connection: close\r\n", b"Content-Length: 3\r\n")
LENGTHS: Final = (0, 1, 5, 900, 3000, 70_000)


class DeferredThreads:
    """Takes the tasks of a thread, and runs them when the test says so."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, Any, Any]] = deque()
        self.refused = 0

    @property
    def in_progress(self) -> int:
        return len(self.waiting)

    def submit(self, task: Any, given: Any, done: Any) -> bool:
        if len(self.waiting) > 20:
            return False
        self.waiting.append((task, given, done))
        return True

    def work(self) -> None:
        if self.waiting:
            task, given, done = self.waiting.popleft()
            done(task(given))


class Stalling(OtherEnd):
    """The other end, as the loop's transports are: it says when it has too much to write."""

    is_slow = is_lost = False

    def write(self, data: Any) -> None:
        assert "write_eof" not in self.done
        if not self.is_closing():
            super().write(data)
            if self.is_slow and not self.line.is_stalled:
                self.line.pause_writing()

    def is_closing(self) -> bool:
        return not {"close", "abort"}.isdisjoint(self.done)

    @property
    def is_paused(self) -> bool:
        steps = [step for step in self.done if step in ("pause_reading", "resume_reading")]
        return steps[-1:] == ["pause_reading"]

    def lose(self) -> None:
        self.is_lost = True
        self.line.connection_lost(None)


class Traffic:
    """An HTTP server with some clients."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.call_soon: deque[Callable[[], None]] = deque()
        self.http_server = HTTPServer(self._django)
        self.verdicts, self.others = DeferredThreads(), DeferredThreads()
        self.http_server.verdicts, self.http_server.others = self.verdicts, self.others  # type: ignore[assignment]
        self.http_server.now, self.http_server.call_soon = 1000.0, self.call_soon.append
        self.ends: list[Any] = []

    def _django(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read()))
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def connect(self, *, is_slow: bool = False) -> Any:
        end: Any = Stalling()
        end.line, end.is_slow = self.http_server(), is_slow
        end.line.connection_made(end)
        self.ends.append(end)
        return end

    def turn(self) -> None:
        """Let the loop and the threads go on."""
        if self.call_soon:
            self.call_soon.popleft()()
        self.verdicts.work()
        self.others.work()

    def kept(self) -> list[int]:
        """Count what is kept of requests that are not complete."""
        rooms = [0, 0, 0]
        for request in (end.line.request for end in self.ends if not end.is_lost):
            if request is not None:
                is_of_machines = request.path.startswith(settings.KEYPORTAL_MACHINE_PATHS)
                rooms[is_of_machines if request.method else HEADS_BUFFER] += request.buffered
        return rooms


def message(rnd: random.Random) -> bytes:
    lines = [b"Host: a", *(line for lines in LINES if rnd.random() < 0.1 for line in lines)]
    body = rnd.randbytes(rnd.choice(LENGTHS))
    if (kind := rnd.random()) < 0.4:
        lines.append(b"Content-Length: %d" % len(body))
    elif kind < 0.6:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces(rnd, body))
        body += b"0\r\n" + rnd.choice(TRAILERS) + b"\r\n"
    else:
        body = b""
    version = b"1.0" if rnd.random() < 0.1 else b"1.1"
    first = b"%s %s HTTP/%s" % (rnd.choice(METHODS), rnd.choice(PATHS), version)
    whole = b"\r\n".join([first, *lines, b"", body])
    return whole[: rnd.randrange(len(whole))] if rnd.random() < 0.05 else whole


def pieces(rnd: random.Random, data: bytes) -> Iterator[bytes]:
    max_length = rnd.choice([1_000_000, 1024, 300, 50])
    while data:
        length = rnd.randint(1, max_length)
        yield data[:length]
        data = data[length:]


def step(rnd: random.Random, traffic: Traffic, end: Any, rest: Iterator[bytes]) -> None:
    """Do one of the things that can happen."""
    http_server, dice = traffic.http_server, rnd.random()
    if end.is_closing() or dice < 0.005:
        end.lose()
    elif dice < 0.6 and not end.is_paused and (piece := next(rest, b"")):
        end.line.data_received(piece)
    elif dice < 0.8:
        traffic.turn()
    elif dice < 0.85:
        http_server.tick(http_server.now + rnd.choice([0.1, 1, 5]))
    elif dice < 0.9 and end.line.is_stalled:
        end.line.resume_writing()
    elif dice < 0.92 and not end.is_paused and not end.line.eof_received():
        end.close()
    elif dice < 0.921:
        http_server.end()


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(50))
def test_nothing_stays_and_nothing_comes_after_the_last_answer(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    rnd, traffic = random.Random(seed), Traffic()
    clients = [
        (traffic.connect(is_slow=rnd.random() < 0.3), pieces(rnd, b"".join(message(rnd) for _ in range(number))))
        for number in (1, 3, 12, 40)
    ]
    for _ in range(600):
        step(rnd, traffic, *rnd.choice(clients))
        clients = [client for client in clients if not client[0].is_lost]
        assert traffic.http_server.buffered == traffic.kept()
        if not clients:
            break
    for _ in range(100):
        traffic.turn()
        traffic.http_server.tick(traffic.http_server.now + 40)
        for end in traffic.ends:
            if end.is_closing() and not end.is_lost:
                end.lose()
    assert all(end.is_lost for end in traffic.ends)
    assert traffic.http_server.buffered == [0, 0, 0]
    assert "the HTTP server failed" not in caplog.text
    for end in traffic.ends:
        assert not re.search(rb"connection: close.*HTTP/1.1 \d", end.came, re.DOTALL)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100))
def test_it_is_the_same_in_whatever_pieces_it_comes(seed: int) -> None:
    rnd = random.Random(seed)
    data = b"".join(message(rnd) for _ in range(rnd.choice([1, 2, 5])))
    assert (
        outcome([data])
        == outcome(list(pieces(rnd, data)))
        == outcome([bytes([byte]) for byte in data[:9000]] + [data[9000:]])
    )


def outcome(sent: list[bytes]) -> tuple[list[int], list[tuple[str, str, bytes]], bool]:
    """Return statuses, what was asked of Django, and whether it ended."""
    traffic = Traffic()
    end = traffic.connect()
    for piece in sent:
        while end.is_paused and not end.is_closing():
            traffic.turn()
        if end.is_closing():
            break
        end.line.data_received(piece)
    while traffic.call_soon or traffic.verdicts.in_progress or traffic.others.in_progress:
        traffic.turn()
    return (
        [status for status in end.statuses if status != 100],
        traffic.requests,
        end.is_closing() or "write_eof" in end.done,
    )
