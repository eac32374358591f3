"""One connection, byte for byte: what is read of a client, how far ahead, and how it ends."""

import pytest

from keyportal.entrance import bounds
from keyportal.entrance.answer import Answer, Writer
from keyportal.entrance.application import Entrance
from tests.entrance import CHUNKED, HALF, PAGE, connect, entrance, work_off

__all__ = ["entrance"]  # a fixture

pytestmark = pytest.mark.once


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
    "around", [b"0\r\nX: " + b"a" * 400_000, b"0\r\n" + b"X: a\r\n" * 60_000, b"1;" + b"a" * 400_000]
)
def test_what_surrounds_a_body_has_a_bound(entrance: Entrance, around: bytes) -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, end = connect(entrance, head, *(around[place : place + 65_536] for place in range(0, len(around), 65_536)))
    assert end.statuses == [431]
    assert entrance.load().body_bytes == 0


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
