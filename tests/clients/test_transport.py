"""What the client knows of a request that got no answer: whether it was sent, and whether it may be sent again."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from keyportal_client.address import PortalAddress
from keyportal_client.errors import KeyportalError, UnexpectedAnswerError, UnreachableError
from keyportal_client.transport import MAX_ANSWER, Answer, Call, Transport
from tests.clients.stub import KEY
from tests.ports import free_port

pytestmark = pytest.mark.once
CALL = Call("GET", "/api/v1/me", {"Authorization": f"Bearer {KEY}"})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = HEAD + b"Content-Length: 2\r\n\r\n{}"
SOON = 0.3
"""Seconds: what is waited for here never comes."""


@contextmanager
def answering(*parts: bytes, ends: bool = True) -> Iterator[int]:
    """Serve one request with these bytes, and close the connection, or keep it and be silent; yield the port."""
    server, done = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with server.accept()[0] as connection:
            connection.recv(65536)
            for part in parts:
                try:
                    connection.sendall(part)
                except OSError:  # it has read enough
                    break
            if not ends:
                done.wait()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        done.set()
        thread.join()
        server.close()


def failure(port: int, *, host: str = "127.0.0.1", scheme: str = "http") -> KeyportalError:
    """Return why a request gets no answer."""
    transport = Transport(PortalAddress(scheme, host, port), timeout=SOON)
    with pytest.raises(KeyportalError) as caught:
        transport.send(CALL)
    assert KEY not in repr(caught.value)
    assert caught.value.__context__ is None  # what httpx raises holds the request
    return caught.value


def facts(error: KeyportalError) -> tuple[bool, bool]:
    """Return whether the request was sent, and whether the connection was cut."""
    assert isinstance(error, UnreachableError)
    return error.was_sent, error.was_dropped


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (HEAD,),
        (HEAD + b"Content-Length: 9\r\n\r\n{}",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",),
    ],
    ids=str,
)
def test_an_answer_that_is_cut_off_may_be_asked_for_again(parts: tuple[bytes, ...]) -> None:
    with answering(*parts) as port:
        error = failure(port)
    assert (facts(error), "closed the connection" in str(error)) == ((True, True), True)


@pytest.mark.parametrize("part", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 hello\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_what_is_not_http_is_no_portal(part: bytes) -> None:
    with answering(part) as port:
        error = failure(port)
    assert isinstance(error, UnexpectedAnswerError)
    assert "does not speak HTTP" in str(error)


@pytest.mark.sweep
@pytest.mark.parametrize("part", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{}"], ids=str)
def test_an_answer_that_does_not_come_is_not_asked_for_again(part: bytes) -> None:
    with answering(part, ends=False) as port:
        error = failure(port)
    assert (facts(error), "did not answer within 0.3 s" in str(error)) == ((True, False), True)


def test_an_answer_that_never_ends_is_ended() -> None:
    with answering(HEAD + b"\r\n", *[b"x" * 1024 * 1024] * (MAX_ANSWER // 1024 // 1024 + 1)) as port:
        error = Transport(PortalAddress("http", "127.0.0.1", port))
        with pytest.raises(UnexpectedAnswerError, match="too large"):
            error.send(CALL)


def test_an_answer_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0.0, 0.2, 0.4))
    monkeypatch.setattr("keyportal_client.transport.time", SimpleNamespace(monotonic=lambda: next(moments)))
    with answering(HEAD + b"\r\n", *[b"x" * 1024 * 1024] * 2) as port:
        assert facts(failure(port)) == (True, False)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    with answering(HEAD + b"ETag: x\r\n\r\n", b"{}") as port:
        answer = Transport(PortalAddress("http", "127.0.0.1", port)).send(CALL)
    assert (answer.status, answer.body, answer.headers.get("etag")) == (200, b"{}", "x")
    assert isinstance(answer, Answer)


def test_what_was_not_sent_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts(failure(free_port())) == (False, False)
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert facts(failure(port, scheme="https")) == (False, False)
    with answering(ends=False) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = failure(443, host="keys.example.com", scheme="https")
    assert (facts(error), "did not answer within 0.3 s" in str(error)) == ((False, False), True)


def test_a_good_answer_is_one() -> None:
    with answering(GOOD, ends=False) as port:
        assert Transport(PortalAddress("http", "127.0.0.1", port)).send(CALL).body == b"{}"
