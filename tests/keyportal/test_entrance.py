"""The entrance without a network: connections whose other end is the test, deadlines by a clock that the test moves."""

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pytest_django import Settings

from keyportal.entrance import application, bounds
from keyportal.entrance.answer import Answer, Writer
from keyportal.entrance.application import Entrance
from keyportal.entrance.connection import Connection
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once

HALF: Final = b"POST /oauth/token HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"
CHUNKED: Final = b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 1}\n\r\n0\r\n\r\n'
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
def entrance() -> Iterator[Entrance]:
    """An entrance whose Django answers nothing before it is let go."""
    go_on = threading.Event()

    def django(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert go_on.wait(DEADLINE)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    made = Entrance(django)
    loop = asyncio.new_event_loop()
    for threads in (made.verdicts, made.others):
        threads.start(loop)
    made.now = 1000.0
    made.go_on = go_on  # type: ignore[attr-defined]  # for the tests
    made.loop = loop  # type: ignore[attr-defined]
    yield made
    go_on.set()
    work_off(made)
    loop.close()


def work_off(entrance: Any) -> None:
    """Let Django answer, and the loop take the answers."""
    entrance.go_on.set()

    async def until_done() -> None:
        while entrance.verdicts.inside or entrance.others.inside:
            await asyncio.sleep(0)

    entrance.loop.run_until_complete(until_done())


def connect(entrance: Entrance, *said: bytes) -> tuple[Connection, OtherEnd]:
    made, end = entrance(), OtherEnd()
    made.connection_made(end)
    for data in said:
        made.data_received(data)
    return made, end


def test_who_is_late_is_told_and_what_has_not_begun_never_does(entrance: Entrance) -> None:
    late = [connect(entrance, PAGE) for _ in range(6)]
    assert entrance.others.inside == 6
    entrance.tick(1000.0 + entrance.within - 1)
    assert [end.statuses for _, end in late] == [[]] * 6
    entrance.tick(1000.0 + entrance.within)
    assert [end.statuses for _, end in late] == [[503]] * 6
    assert (entrance.load().late, entrance.load().others_inside, entrance.load().connections) == (6, 6, 6)
    assert b"retry-after: 2" in late[0][1].came
    asked: list[str] = []
    entrance._django = lambda environ, start_response: asked.append(environ["PATH_INFO"]) or []  # type: ignore[func-returns-value]
    work_off(entrance)
    assert asked == []
    assert [end.statuses for _, end in late] == [[503]] * 6


@pytest.mark.parametrize("path", [b"/api/v1/me", b"/gateway/auth", b"/api/v1/verify"])
def test_a_verdict_that_waits_is_given_up_sooner_than_a_page(entrance: Entrance, path: bytes) -> None:
    for _ in range(20):  # they wait in every thread of verdicts
        connect(entrance, PAGE.replace(b"/keys/", b"/api/v1/me"))
    waiting = connect(entrance, PAGE.replace(b"/keys/", path))[1]
    entrance.tick(1000.0 + entrance.verdict_within)
    assert waiting.statuses == [503]
    assert entrance.verdict_within < entrance.within


def test_where_no_place_is_left_the_answer_is_503_at_once(entrance: Entrance, settings: Settings) -> None:
    most = settings.KEYPORTAL_REQUEST_THREADS + application.QUEUE
    waiting = [connect(entrance, PAGE)[1] for _ in range(most)]
    refused = connect(entrance, PAGE)[1]
    assert (refused.statuses, entrance.load().others_refused, entrance.load().late) == ([503], 1, 0)
    assert b"<h1>The portal is busy</h1>" in refused.came
    machine = connect(entrance, PAGE.replace(b"/keys/", b"/api/v1/tokens"))[1]
    assert machine.statuses == [503]
    assert b'"code": "unavailable"' in machine.came
    verdict = connect(entrance, PAGE.replace(b"/keys/", b"/api/v1/me"))[1]
    work_off(entrance)
    assert [end.statuses for end in waiting] == [[200]] * most
    assert verdict.statuses == [200]


def test_who_is_too_slow_takes_no_thread(entrance: Entrance) -> None:
    page = HALF.replace(b"/oauth/token", b"/accounts/login/")
    slow = [connect(entrance, half)[1] for half in (page, HALF)]
    entrance.tick(entrance.now + bounds.BODY_WITHIN)
    assert [end.statuses for end in slow] == [[408], [408]]
    assert (entrance.others.inside, entrance.verdicts.inside) == (0, 0)


def test_health_is_answered_whoever_waits(entrance: Entrance) -> None:
    for path in (b"/keys/", b"/api/v1/me"):
        for _ in range(100):
            connect(entrance, PAGE.replace(b"/keys/", path))
    healthy = connect(entrance, PAGE.replace(b"/keys/", b"/healthz"))[1]
    assert healthy.statuses == [200]
    assert healthy.came.endswith(b'{"status": "ok"}')


def test_bodies_on_their_way_have_a_bound_in_all(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "OF_ALL", 8)
    first, one = connect(entrance, HALF)
    _, two = connect(entrance, HALF)
    assert entrance.kept == 6
    _, three = connect(entrance, HALF)
    work_off(entrance)
    assert (one.statuses, two.statuses, three.statuses) == ([], [], [503])
    assert b"retry-after: " in three.came
    assert entrance.kept == 6
    first.connection_lost(None)
    assert entrance.kept == 3


def test_of_too_many_connections_the_one_goes_that_has_waited_longest(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "most", 3)
    _, busy = connect(entrance, PAGE)
    entrance.now += 1
    _, oldest = connect(entrance, HALF)
    entrance.now += 1
    _, other = connect(entrance)
    entrance.now += 1
    _, new = connect(entrance)
    assert [end.done for end in (busy, oldest, other, new)] == [[], ["abort"], [], []]


def test_a_client_that_takes_no_answer_is_left(entrance: Entrance) -> None:
    line, end = connect(entrance)
    line.pause_writing()
    entrance.tick(1000.0 + bounds.TAKEN_WITHIN - 1)
    assert end.done == ["pause_reading"]
    line.resume_writing()
    entrance.tick(1000.0 + bounds.TAKEN_WITHIN)
    assert end.done == ["pause_reading", "resume_reading"]
    line.pause_writing()
    entrance.tick(1000.0 + 3 * bounds.TAKEN_WITHIN)
    assert end.done[-1] == "abort"


def test_nothing_is_read_ahead_without_end(entrance: Entrance) -> None:
    line, end = connect(entrance, PAGE * 1000)
    assert end.done == ["pause_reading"]
    assert entrance.others.inside <= bounds.MOST_TURNS + bounds.SLICE // len(PAGE)
    while len(end.statuses) < 1000:
        work_off(entrance)
    assert end.statuses == [200] * 1000
    assert end.done[-1] == "resume_reading"
    line.expire()
    assert end.done[-1] == "close"
    line.expire()  # what it said last is not taken
    assert end.done[-1] == "abort"


@pytest.mark.finding("H8")
@pytest.mark.parametrize(
    "behind", [b"0\r\nX: " + b"a" * 400_000, b"0\r\n" + b"X: a\r\n" * 60_000, b"1;" + b"a" * 400_000]
)
def test_what_surrounds_a_body_has_a_bound(entrance: Entrance, behind: bytes) -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, end = connect(entrance, head, *(behind[place : place + 65_536] for place in range(0, len(behind), 65_536)))
    assert end.statuses == [431]
    assert entrance.kept == 0


@pytest.mark.finding("H17")
@pytest.mark.parametrize("pieces", [1, 7, 10_000])
@pytest.mark.parametrize("framing", [b'Content-Length: 9\r\n\r\n{"a": 1}\n', CHUNKED])
def test_the_body_of_a_request_that_would_rather_speak_another_protocol_is_read(
    entrance: Entrance, framing: bytes, pieces: int
) -> None:
    """Java's and curl's clients ask for h2c with each first request over plain http."""
    came: list[bytes] = []
    entrance._django = lambda environ, start_response: came.append(environ["wsgi.input"].read()) or []  # type: ignore[func-returns-value]
    raw = (
        b"POST /api/v1/tokens HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + framing
    )
    connect(entrance, *(raw[place : place + pieces] for place in range(0, len(raw), pieces)))
    work_off(entrance)
    assert came == [b'{"a": 1}\n']


def test_at_the_end_what_was_asked_is_answered_and_nothing_new_is_taken(entrance: Entrance) -> None:
    _, busy = connect(entrance, PAGE)
    _, idle = connect(entrance)
    _, half = connect(entrance, HALF)
    entrance.end()
    assert (busy.done, idle.done, half.done) == ([], ["close"], [])
    work_off(entrance)
    assert (busy.statuses, busy.done) == ([200], ["close"])
    assert b"connection: close" in busy.came
    entrance.tick(1000.0 + bounds.LINGER)
    assert half.statuses == [408]


def test_an_answer_with_a_line_break_in_a_header_is_never_sent(entrance: Entrance) -> None:
    writer = Writer()
    for value in ("a\r\nx-other: b", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line break"):
            writer.written(Answer(200, [("x-name", value)]), method="GET", connection="")
    entrance._django = lambda environ, start_response: start_response("200 OK", [("X-A", "a\nb")]) or []
    _, end = connect(entrance, PAGE)
    work_off(entrance)
    assert (end.came, end.done) == (b"", ["abort"])


def test_a_request_that_breaks_is_answered_all_the_same(entrance: Entrance, caplog: pytest.LogCaptureFixture) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise RuntimeError("inside")

    entrance._django = broken
    _, end = connect(entrance, PAGE)
    work_off(entrance)
    assert end.statuses == [500]
    assert b"inside" not in end.came
    assert "a request broke" in caplog.text
