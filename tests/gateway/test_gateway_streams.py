"""What is long or lasts: uploads of 100 MB, events as they come, WebSockets, streams of gRPC."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from tests.behind import OF_GRPC, OF_HTTP_1, WAYS, Behind, behind_each
from tests.http2 import http2
from tests.services import websocket
from tests.services.service import FIRST, READ, Call
from tests.wire import Wire, chunked, head, wire

pytestmark = [pytest.mark.once, pytest.mark.finding("H35")]

UPLOAD: Final = 100 * 1024 * 1024
PIECE: Final = 1 << 20
WITH_WEBSOCKETS: Final = ("nginx", "nginx-uwsgi", "caddy", "haproxy")


def zeros(size: int) -> Iterator[bytes]:
    """Return a body of this size, in pieces."""
    for _ in range(size // PIECE):
        yield bytes(PIECE)


def bearer(behind: Behind) -> str:
    return f"Authorization: Bearer {behind.reader.secret}"


@behind_each(OF_HTTP_1)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
def test_an_upload_of_100_megabytes_arrives_whole(behind: Behind, is_chunked: bool) -> None:
    size = 2 * PIECE if is_chunked else UPLOAD  # twice the bound that nginx has without a word
    line = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    with wire(behind.port) as opened:
        opened.send(head("POST", "/reports/upload", bearer(behind), line))
        for piece in zeros(size):
            opened.send(chunked(piece, end=b"") if is_chunked else piece)
        answer = opened.send(b"0\r\n\r\n" if is_chunked else b"").reply()
    assert answer.status == 200
    call = Call(**json.loads(answer.body))
    assert call.size == size
    assert call.header("x-keyportal-owner") == behind.owner


@behind_each(OF_GRPC)
def test_a_stream_of_100_megabytes_arrives_whole(behind: Behind) -> None:
    with http2(behind.port, tls=behind.way.tls) as line:
        headers = [("authorization", f"Bearer {behind.reader.secret}"), ("content-type", "application/grpc")]
        stream = line.open("POST", "/reports/Upload", [*headers, ("te", "trailers")], end=False)
        line.send(stream, zeros(UPLOAD))
        answer = line.finish(stream)
    assert (answer.status, answer.trailers) == (200, {"grpc-status": "0"})
    call = Call(**json.loads(answer.body[5:]))
    assert call.size == UPLOAD
    assert call.header("x-keyportal-owner") == behind.owner
    assert "authorization" not in call.headers


@behind_each(WAYS)
def test_an_upload_that_is_refused_is_refused_before_it_is_read(behind: Behind) -> None:
    before = behind.service.request_count
    if behind.way.protocol == "grpc":
        with http2(behind.port, tls=behind.way.tls) as line:
            stream = line.open("POST", "/reports/Upload", [("content-type", "application/grpc")], end=False)
            line.read(stream, lambda: bool(stream.headers))
            assert stream.headers[":status"] == "401"
    else:
        with wire(behind.port) as opened:
            opened.send(head("POST", "/reports/upload", f"Content-Length: {UPLOAD}") + bytes(1000))
            assert opened.reply().status == 401
    assert behind.service.request_count == before


@behind_each(OF_HTTP_1)
def test_events_come_one_by_one(behind: Behind) -> None:
    """The API says the second when the first has been read."""
    with wire(behind.port) as opened:
        opened.send(head("GET", "/reports/live/events", bearer(behind), "Accept: text/event-stream"))
        assert b" 200" in opened.read_until(b"\r\n")
        opened.read_until(FIRST)
        behind.service.first_was_read.set()
        assert READ in opened.read_until(READ)


@behind_each(OF_GRPC)
def test_messages_of_a_stream_come_one_by_one(behind: Behind) -> None:
    with http2(behind.port, tls=behind.way.tls) as line:
        headers = [("authorization", f"Bearer {behind.reader.secret}"), ("content-type", "application/grpc")]
        stream = line.open("POST", "/reports/events", [*headers, ("te", "trailers")])
        line.read(stream, lambda: FIRST in stream.body)
        behind.service.first_was_read.set()
        answer = line.finish(stream)
    assert READ in answer.body
    assert answer.trailers == {"grpc-status": "0"}


def shake_hands(opened: Wire, *lines: str, upgrade: str = "websocket", path: str = "/reports/live/socket") -> None:
    asked = ["Connection: keep-alive, Upgrade", f"Upgrade: {upgrade}", "Sec-WebSocket-Version: 13"]
    opened.send(head("GET", path, *asked, f"Sec-WebSocket-Key: {websocket.KEY}", *lines, close=False))


@behind_each(WITH_WEBSOCKETS)
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_a_web_socket_is_a_web_socket(behind: Behind, upgrade: str) -> None:
    with wire(behind.port) as opened:
        shake_hands(opened, bearer(behind), "X-Keyportal-Owner: forged", upgrade=upgrade)
        answer = opened.read_until(b"\r\n\r\n").lower()
        assert answer.startswith(b"http/1.1 101 ")
        accept = websocket.handshake_answer(websocket.KEY).split(b"Accept: ")[1].strip().lower()
        assert b"sec-websocket-accept: " + accept in answer
        opened.send(websocket.frame(b"is anybody there?", masked=True))
        assert websocket.read_frame(opened.read) == b"is anybody there?"
    call = behind.service.calls[-1]
    assert call.header("x-keyportal-owner") == behind.owner
    assert "authorization" not in call.headers


@behind_each(WITH_WEBSOCKETS)
def test_nobody_opens_a_web_socket_without_a_credential(behind: Behind) -> None:
    before = behind.service.request_count
    with wire(behind.port) as opened:
        shake_hands(opened)
        assert opened.reply().status == 401
    with wire(behind.port) as opened:
        shake_hands(opened, bearer(behind), path="/reports/admin/socket")
        assert opened.reply().status == 403
    assert behind.service.request_count == before


@behind_each(OF_HTTP_1)
@pytest.mark.parametrize("upgrade", ["h2c", "h2c, websocket", "websocket, h2c", "websocketx", "TLS/1.0"])
def test_no_other_protocol_is_let_through(behind: Behind, upgrade: str) -> None:
    """What speaks h2c behind a gateway is a tunnel past it: every request in it is unasked."""
    with wire(behind.port) as opened:
        lines = ["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAARAAAAA"]
        key = f"Sec-WebSocket-Key: {websocket.KEY}"
        opened.send(head("GET", "/reports/1", *lines, key, bearer(behind), close=False))
        answer = opened.reply()
    assert answer.status == 200
    call = Call(**json.loads(answer.body))
    assert call.header("upgrade") is None
    assert "pgrade" not in str(call.headers.get("connection"))


@behind_each(OF_HTTP_1)
def test_of_two_upgrades_none_is_let_through_but_that_to_web_sockets(behind: Behind) -> None:
    for lines in (["Upgrade: h2c", "Upgrade: websocket"], ["Upgrade: websocket", "Upgrade: h2c"]):
        with wire(behind.port) as opened:
            key = f"Sec-WebSocket-Key: {websocket.KEY}"
            opened.send(head("GET", "/reports/1", "Connection: Upgrade", *lines, key, bearer(behind), close=False))
            opened.read_until(b"\r\n")
        assert "h2c" not in str(behind.service.calls[-1].headers), lines
