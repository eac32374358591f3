"""One connection, byte for byte: what is read of a client, and how it ends."""

import pytest

from keyportal.http_server import bounds
from keyportal.http_server import server as application
from keyportal.http_server.response import Response, Writer
from keyportal.http_server.server import HTTPServer
from tests.http_server import CHUNKED, HALF, HEALTH, PAGE, connect, go_round, http_server, work_off

__all__ = ["http_server"]  # a fixture

pytestmark = pytest.mark.once


@pytest.mark.finding("H8")
@pytest.mark.parametrize(
    "around", [b"0\r\nX: " + b"a" * 400_000, b"0\r\n" + b"X: a\r\n" * 60_000, b"1;" + b"a" * 400_000]
)
def test_what_surrounds_a_body_has_a_bound(http_server: HTTPServer, around: bytes) -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, end = connect(http_server, head, *(around[place : place + 65_536] for place in range(0, len(around), 65_536)))
    go_round(http_server)
    assert end.statuses == [431]
    assert http_server.load().body_bytes == 0


@pytest.mark.finding("H17")
@pytest.mark.parametrize("pieces", [1, 7, 10_000])
@pytest.mark.parametrize("framing", [b'Content-Length: 9\r\n\r\n{"a": 1}\n', CHUNKED])
def test_the_body_of_a_request_that_would_rather_speak_another_protocol_is_read(
    http_server: HTTPServer, framing: bytes, pieces: int
) -> None:
    """Java's and curl's clients ask for h2c with each first request over plain http."""
    came: list[bytes] = []
    http_server._django = lambda environ, start_response: came.append(environ["wsgi.input"].read()) or []  # type: ignore[func-returns-value]
    raw = (
        b"POST /api/v1/tokens HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + framing
    )
    connect(http_server, *(raw[place : place + pieces] for place in range(0, len(raw), pieces)))
    work_off(http_server)
    assert came == [b'{"a": 1}\n']


def test_at_the_end_what_was_asked_is_answered_and_nothing_new_is_taken(http_server: HTTPServer) -> None:
    _, busy = connect(http_server, PAGE)
    _, idle = connect(http_server, b"GET /healthz HTTP/1.1\r\nHost: portal.test\r\n\r\n")
    _, half = connect(http_server, HALF)
    (coming, new), (_, unused) = connect(http_server), connect(http_server)
    http_server.end()
    assert (busy.done, idle.done, half.done, new.done) == ([], ["close"], [], [])
    coming.data_received(PAGE)
    work_off(http_server)
    for end in (busy, new):
        assert (end.statuses, end.done) == ([200], ["close"])
        assert b"connection: close" in end.came
    http_server.tick(1000.0 + bounds.ARRIVES_WITHIN)
    assert (unused.came, unused.done, half.done) == (b"", ["close"], [])
    http_server.tick(1000.0 + bounds.LINGER)
    assert half.statuses == [408]


def test_an_answer_with_a_line_break_in_a_header_is_never_sent(http_server: HTTPServer) -> None:
    writer = Writer()
    for value in ("a\r\nx-other: b", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line break"):
            writer.serialize(Response(200, [("x-name", value)]), method="GET", connection="")
    http_server._django = lambda environ, start_response: start_response("200 OK", [("X-A", "a\nb")]) or []
    _, end = connect(http_server, PAGE)
    work_off(http_server)
    assert (end.came, end.done) == (b"", ["abort"])


@pytest.mark.finding("H8")
def test_a_head_is_bounded_while_it_arrives(http_server: HTTPServer) -> None:
    line, end = connect(http_server, b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 5000)
    go_round(http_server)
    assert end.statuses == []
    assert line.request is not None
    assert len(line.request.headers) <= bounds.MAX_LINES + 1
    line.data_received(b"a:\r\n" * 20_000)
    go_round(http_server)
    assert end.statuses == [431]


@pytest.mark.parametrize(
    ("path", "line", "status"),
    [
        (b"/api/v1/me", b"X: " + b"a" * 66_000, 431),
        (b"/api/v1/me", b"\r\n".join([b"X: 1"] * 101), 431),
        (b"/api/v1/me?" + b"a" * 17_000, b"X: 1", 414),
    ],
)
def test_a_head_that_is_too_long_is_a_problem_where_machines_ask(
    http_server: HTTPServer, path: bytes, line: bytes, status: int
) -> None:
    _, end = connect(http_server, b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % (path, line))
    go_round(http_server)
    assert end.statuses == [status]
    assert b"content-type: application/problem+json" in end.came


@pytest.mark.finding("H8")
def test_long_heads_have_a_bound_in_all(http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MAX_BUFFERED", 8000)
    long, short = (b"GET / HTTP/1.1\r\nX: " + b"a" * count for count in (22_000, 15_000))
    first, one = connect(http_server, long)
    ends = [connect(http_server, head)[1] for head in (long, short, short, HALF)]
    go_round(http_server)
    assert [end.statuses for end in (one, *ends)] == [[], [503], [], [], []]
    first.data_received(b"\r\n\r\n")
    assert http_server.buffered[application.HEADS_BUFFER] == 0
    third, _ = connect(http_server, long)
    go_round(http_server)
    assert http_server.buffered[application.HEADS_BUFFER] > 0
    third.connection_lost(None)
    assert http_server.load().body_bytes == 3


def test_nothing_behind_the_last_answer_is_done(http_server: HTTPServer) -> None:
    http_server.is_ending = True
    _, end = connect(http_server, HEALTH + b"DELETE /keys/1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (end.statuses, end.done) == ([200], ["close"])
    assert http_server.others.in_progress == 0


def test_a_length_of_any_length_is_read(http_server: HTTPServer) -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: "
    _, zeros = connect(http_server, head + b"0" * 5000 + b"2\r\n\r\n{}")
    go_round(http_server)
    work_off(http_server)
    assert zeros.statuses == [200]
    for number in (b"65537", b"9" * 19):
        _, end = connect(http_server, head + number + b"\r\n\r\n{}")
        work_off(http_server)
        assert end.statuses == [413]


@pytest.mark.finding("H10")
def test_no_line_of_a_body_is_taken_for_a_header(http_server: HTTPServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    secret = b"kp_live_abcdef0123456789"
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for said in [
        (head, b"5\r\n%s\r\n" % secret),
        (head, b"5\r\n%s: \x01\r\n" % secret),
        (b"GET / HTTP/1.1\r\n%s\r\n\r\n" % secret,),
        (b"GET / HTTP/1.1\r\n%s: \x01\r\n\r\n" % secret,),
    ]:
        _, end = connect(http_server, *said)
        assert end.statuses == [400]
        assert b"abcdef" not in end.came.lower()
    _, end = connect(http_server, head, b"5\r\nAuthorization: \x01\r\n")
    assert end.statuses == [400]
    assert b"Authorization" not in end.came, "there is no such header"
    assert "abcdef" not in caplog.text.lower()


def test_what_still_comes_after_an_answer_to_half_a_request_keeps_it_not_longer(http_server: HTTPServer) -> None:
    length = b"POST /gateway/auth HTTP/1.1\r\nContent-Length: 1\r\n\r\n"
    for _ in range(200):  # no place is left: they are answered at once
        connect(http_server, PAGE.replace(b"/keys/", b"/api/v1/me"))
    for said in (length, length + b"x"):
        line, end = connect(http_server, said)
        assert (end.statuses, end.done) == ([503], ["write_eof"])
        assert line.until == http_server.now + bounds.LINGER
        line.pause_writing()
        line.resume_writing()
        assert line.until == http_server.now + bounds.LINGER


def test_http_1_0_in_chunks_is_the_last_request_and_expects_nothing(http_server: HTTPServer) -> None:
    keep = b"Connection: keep-alive\r\n"
    chunks = b"POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + keep + b"\r\n0\r\n\r\n"
    _, end = connect(http_server, chunks + HEALTH)
    work_off(http_server)
    assert (len(end.statuses), end.done) == (1, ["close"])
    _, end = connect(http_server, b"POST /keys/ HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert end.came == b""


@pytest.mark.finding("H46")
def test_the_bound_on_connections_follows_the_process(http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server makes the application first, and raises the limit afterwards."""
    monkeypatch.setattr("resource.getrlimit", lambda which: (1000, 1000))
    monkeypatch.setattr("keyportal.mailer.Mailer.start", lambda self: None)
    http_server.start(http_server.loop)  # type: ignore[attr-defined]
    assert http_server.max_connections == 1000 - application.DESCRIPTORS
