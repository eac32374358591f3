"""The HTTP server without a network: the test is the other end of its connections, and moves its clock."""

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

from keyportal.http_server.connection import Connection
from keyportal.http_server.server import HTTPServer
from tests.waiting import DEADLINE

HALF: Final = b"POST /oauth/token HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"
CHUNKED: Final = b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 1}\n\r\n0\r\n\r\n'
HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE: Final = b"GET /keys/ HTTP/1.1\r\nHost: portal.test\r\n\r\n"


class OtherEnd(asyncio.Transport):
    """What came back, and what was done to the connection."""

    def __init__(self, peer: str = "127.0.0.1", **about: object) -> None:
        super().__init__({"peername": (peer, 4711) if peer else "", **about})
        self.came = b""
        self.done: list[str] = []

    def write(self, data: Any) -> None:
        self.came += bytes(data)

    def __getattribute__(self, name: str) -> Any:
        if name in ("close", "abort", "pause_reading", "resume_reading", "write_eof"):
            return lambda: self.done.append(name)
        return super().__getattribute__(name)

    def is_closing(self) -> bool:
        return "close" in self.done

    def can_write_eof(self) -> bool:
        return True

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", self.came)]


@pytest.fixture
def http_server() -> Iterator[HTTPServer]:
    """An HTTP server whose Django answers nothing before it is let go."""
    go_on = threading.Event()

    def django(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert go_on.wait(DEADLINE)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    made = HTTPServer(django)
    loop = asyncio.new_event_loop()
    for threads in (made.verdicts, made.others):
        threads.start(loop)
    made.now = 1000.0
    made.call_soon = loop.call_soon
    made.go_on = go_on  # type: ignore[attr-defined]  # for the tests
    made.loop = loop  # type: ignore[attr-defined]
    yield made
    go_on.set()
    work_off(made)
    loop.close()


def work_off(http_server: Any) -> None:
    """Let Django answer, and the loop take the answers."""
    http_server.go_on.set()

    async def until_done() -> None:
        while http_server.verdicts.in_progress or http_server.others.in_progress:
            await asyncio.sleep(0)

    http_server.loop.run_until_complete(until_done())


def go_round(http_server: Any, times: int = 500) -> None:
    """Let the loop turn, so that what was sent ahead is read."""

    async def turn() -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    http_server.loop.run_until_complete(turn())


def connect(http_server: HTTPServer, *said: bytes) -> tuple[Connection, OtherEnd]:
    made, end = http_server(), OtherEnd()
    made.connection_made(end)
    for data in said:
        made.data_received(data)
    return made, end
