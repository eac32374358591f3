"""Bodies over raw sockets: whole or not at all, bounded, and nothing behind one is taken for a request."""

import secrets
from collections.abc import Callable

import pytest

from tests.keyportal.raw_requests import CHUNKS, GRANT, client, token_head
from tests.oauth_client import ClientKey, basic
from tests.portal import FORM, Portal
from tests.wire import chunked, exchange, head, wire

__all__ = ["client", "token_head"]


@pytest.mark.finding("H17")
@pytest.mark.parametrize("pieces", [[GRANT], [GRANT[:5], GRANT[5:]], [GRANT[n : n + 1] for n in range(len(GRANT))]])
def test_a_body_in_chunks_is_as_good_as_one_with_a_length(
    portal: Portal, token_head: Callable[..., bytes], pieces: list[bytes]
) -> None:
    answer = exchange(portal.port, token_head(CHUNKS) + chunked(*pieces))
    assert answer.status == 200
    assert answer.json["access_token"]
    trailed = exchange(portal.port, token_head(CHUNKS) + chunked(*pieces, end=b"0\r\nX-Checksum: 1\r\n\r\n"))
    assert trailed.status == 200


@pytest.mark.finding("H2")
def test_what_stands_behind_a_body_is_no_header(portal: Portal, client: ClientKey) -> None:
    """A proxy passes a client's trailers on, behind its own headers: they would be believed as those are."""
    trailer = f"0\r\nAuthorization: {basic(client.id, client.secret)}\r\nX-Request-ID: from-the-client\r\n\r\n"
    asked = head("POST", "/oauth/token", f"Content-Type: {FORM}", CHUNKS, "Trailer: Authorization")
    answer = exchange(portal.port, asked + chunked(GRANT, end=trailer.encode()))
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.finding("H17")
@pytest.mark.parametrize(
    ("line", "body"),
    [
        (f"Content-Length: {len(GRANT) + 13}", GRANT),
        (CHUNKS, b"%x\r\n%s\r\n" % (len(GRANT), GRANT)),
        (CHUNKS, b"%x\r\n%s" % (len(GRANT) + 13, GRANT)),
        (CHUNKS, b"%x\r\n%s\r\n0\r\n" % (len(GRANT), GRANT)),
        (CHUNKS, b"%x\r\n%s\r\nzz\r\n" % (len(GRANT), GRANT)),
        (CHUNKS, b"-1\r\n%s\r\n0\r\n\r\n" % GRANT),
    ],
)
def test_a_body_that_was_cut_is_400_and_gives_no_token(
    portal: Portal, token_head: Callable[..., bytes], line: str, body: bytes
) -> None:
    issued = "from audit.models import Event as E; print(E.objects.filter(verb='app_logged_in').count())"
    before = portal.shell(issued)
    answer = exchange(portal.port, token_head(line) + body, half_closed=True)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert portal.shell(issued) == before


@pytest.mark.finding("H8")
def test_a_length_over_the_bound_is_413_before_anything_is_sent(portal: Portal) -> None:
    for path, bound in (("/oauth/token", 64), ("/api/v1/tokens", 64), ("/accounts/login/", 2560)):
        with wire(portal.port) as line:
            line.send(head("POST", path, f"Content-Length: {bound * 1024 + 1}", close=False))
            assert line.reply().status == 413
            line.half_close()
            assert line.is_closed()


@pytest.mark.finding("H8")
def test_a_chunked_body_over_the_bound_is_413(portal: Portal) -> None:
    with wire(portal.port) as line:
        line.send(head("POST", "/oauth/token", CHUNKS) + b"20000\r\n" + b"x" * 0x11000)
        assert line.reply().status == 413
    with wire(portal.port) as line:  # as much as may be
        line.send(head("POST", "/oauth/token", CHUNKS) + chunked(b"x" * 65536))
        assert line.reply().status == 400


@pytest.mark.security("P-06")
@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 3", "Content-Length: 4"],
        ["Content-Length: 3", CHUNKS],
        ["Content-Length: 3, 3"],
        ["Content-Length: +3"],
        ["Content-Length: 0x3"],
        ["Content-Length: -1"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["X-Folded: a\r\n b", "Content-Length: abc"],
        ["Host: elsewhere.example"],
    ],
)
def test_what_two_servers_would_read_differently_is_400(portal: Portal, lines: list[str]) -> None:
    with wire(portal.port) as line:
        line.send(head("POST", "/api/v1/tokens/refresh", *lines, close=False) + b"abc")
        answer = line.reply()
        assert answer.status == 400
        line.half_close()
        assert line.is_closed()  # nothing behind it was taken for a request


@pytest.mark.security("P-06")
def test_nothing_behind_a_refused_request_is_done(portal: Portal) -> None:
    email = f"behind-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    _, victim = portal.make_key(email)
    end = head("DELETE", "/api/v1/tokens", f"Authorization: Bearer {victim}", close=False)
    for refused in (
        head("POST", "/oauth/token", "Content-Length: 70000", close=False) + b"x" * 70_000,
        head("POST", "/oauth/token", CHUNKS, close=False) + chunked(b"x" * 70_000),
        head("GET", "/healthz", "X-Long: " + "x" * 70_000, close=False),
    ):
        with wire(portal.port) as line:
            line.send(refused + end * 3)
            assert line.reply().status in (413, 431)
            line.half_close()
            assert line.is_closed()
    assert exchange(portal.port, head("GET", "/api/v1/me", f"Authorization: Bearer {victim}")).status == 200
