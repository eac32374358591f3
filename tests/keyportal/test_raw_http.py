"""HTTP over raw sockets: order, old clients, half requests, odd methods and targets, bounds of the head."""

import json
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.keyportal.raw_requests import CHUNKS, GRANT, client, token_head
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.wire import exchange, head, wire

__all__ = ["client", "token_head"]

pytestmark = pytest.mark.once


def test_what_is_sent_ahead_is_answered_in_its_order(portal: Portal, client: ClientKey) -> None:
    bearer = f"Authorization: Bearer {client.secret}"
    paths = ["/", "/gateway/auth", "/healthz", "/api/v1/me", "/gateway/auth", "/nothing-here", "/accounts/login/"] * 4
    with wire(portal.port) as line:
        line.send(b"".join(head("GET", path, bearer, close=False) for path in paths))
        statuses = [line.reply().status for _ in paths]
    assert statuses == [200, 200, 200, 200, 200, 404, 200] * 4


def test_an_old_client_is_understood(portal: Portal) -> None:
    for lines, stays in (("", False), ("Connection: keep-alive\r\n", True)):
        with wire(portal.port) as line:
            line.send(f"GET /healthz HTTP/1.0\r\n{lines}\r\n".encode())
            answer = line.reply()
            assert (answer.status, answer.header("connection")) == (200, "keep-alive" if stays else "close")
            if stays:
                line.send(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert line.reply().status == 200
            assert line.is_closed()


def test_a_client_that_expects_100_continue_gets_it(portal: Portal, token_head: Callable[..., bytes]) -> None:
    with wire(portal.port) as line:
        line.send(token_head("Expect: 100-continue", f"Content-Length: {len(GRANT)}"))
        assert line.reply().status == 100
        line.send(GRANT)
        assert line.reply().status == 200
    with wire(portal.port) as line:  # what is refused anyway needs no body
        line.send(head("POST", "/oauth/token", "Expect: 100-continue", "Content-Length: 70000"))
        assert line.reply().status == 413


def test_no_other_protocol_is_spoken_and_the_request_is_answered_all_the_same(
    portal: Portal, client: ClientKey
) -> None:
    lines = [f"Authorization: Bearer {client.secret}", "Upgrade: websocket", "Connection: Upgrade"]
    for path in ("/gateway/auth", "/api/v1/me"):
        with wire(portal.port) as line:
            line.send(head("GET", path, *lines, "Sec-WebSocket-Key: x", close=False))
            answer = line.reply()
            assert (answer.status, answer.header("connection")) == (200, "close")
            assert line.is_closed()


def test_head_has_the_length_and_no_body(portal: Portal) -> None:
    with wire(portal.port) as line:
        line.send(head("HEAD", "/accounts/login/", close=False))
        answer = line.reply(to_head=True)
        assert int(answer.header("content-length")) > 1000
        line.send(head("GET", "/healthz"))
        assert line.reply().json == {"status": "ok"}


@pytest.mark.parametrize("target", ["http://elsewhere.example/healthz", "/healthz?x#y", "//healthz", "*", "healthz"])
def test_a_target_in_another_form_leads_nowhere_else(portal: Portal, target: str) -> None:
    answer = exchange(portal.port, head("GET", target))
    assert answer.status in (200, 400, 404)
    assert b"elsewhere" not in answer.body


@pytest.mark.parametrize("method", ["BREW", "get", "GET\x00", "X" * 5000, "GÉT"])
def test_a_method_that_http_does_not_know_is_400(portal: Portal, method: str) -> None:
    answer = exchange(portal.port, head(method, "/keys/"))
    assert answer.status == 400
    assert b"<h1>" in answer.body


@pytest.mark.parametrize(
    ("line", "name"), [("Authorization: Bearer a\x00b", "Authorization"), ("X-Odd: a\x01b", "X-Odd"), ("No colon", "")]
)
def test_a_header_that_can_not_be_read_is_named_and_never_quoted(portal: Portal, line: str, name: str) -> None:
    answer = exchange(portal.port, head("GET", "/api/v1/me", line))
    assert answer.status == 400
    problem = json.loads(answer.body)
    assert problem["code"] == "bad_request"
    assert name in problem["detail"]
    assert "Bearer" not in problem["detail"]


@pytest.mark.security("R-21")
@pytest.mark.finding("H8")
def test_half_requests_get_408_and_hold_no_other_up(
    portal: Portal, client: ClientKey, token_head: Callable[..., bytes]
) -> None:
    halves = {
        token_head("Content-Length: 29", "X-Half: body") + GRANT[:5]: 40,
        head("POST", "/accounts/login/", "Content-Length: 10"): 40,
        head("POST", "/oauth/token", CHUNKS) + b"5\r\nabc": 10,
        head("GET", "/api/v1/me")[:-2]: 40,
        b"GET /gateway/au": 10,
    }
    with ExitStack() as stack:
        every = [half for half, many in halves.items() for _ in range(many)]
        waiting = [stack.enter_context(wire(portal.port)).send(half) for half in every]
        bearer = f"Authorization: Bearer {client.secret}"
        for _ in range(4):  # both workers
            for path in ("/gateway/auth", "/healthz", "/readyz", "/api/v1/me"):
                assert exchange(portal.port, head("GET", path, bearer)).status == 200
            assert exchange(portal.port, head("GET", "/accounts/login/")).status == 200
            assert exchange(portal.port, token_head(f"Content-Length: {len(GRANT)}") + GRANT).status == 200
        answers = [line.reply() for line in waiting]
        assert {answer.status for answer in answers} == {408}
        assert {answer.header("connection") for answer in answers} == {"close"}
        assert all(line.half_close().is_closed() for line in waiting)
    assert b"The body of the request did not arrive" in answers[0].body
    assert b"The head of the request did not arrive" in answers[-1].body


@pytest.mark.finding("H8")
def test_a_connection_that_says_nothing_is_closed(portal: Portal) -> None:
    with wire(portal.port) as line:
        assert line.is_closed()
    with wire(portal.port) as line:
        line.send(b"\r\n\r\n")
        assert line.is_closed()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"X-{number}: 1" for number in range(110)], 431),
        (["X-Long: " + "x" * 70_000], 431),
        ([f"X-{number}: " + "x" * 1000 for number in range(80)], 431),
        (["X-Long: " + "x" * 60_000], 200),
    ],
)
def test_a_head_has_a_bound(portal: Portal, lines: list[str], status: int) -> None:
    assert exchange(portal.port, head("GET", "/healthz", *lines)).status == status


def test_a_head_without_an_end_is_431(portal: Portal) -> None:
    with wire(portal.port) as line:
        line.send(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 200_000)
        assert line.reply().status == 431


def test_an_address_has_a_bound(portal: Portal) -> None:
    assert exchange(portal.port, head("GET", "/healthz?" + "x" * 17_000)).status == 414
    assert exchange(portal.port, head("GET", "/healthz?" + "x" * 10_000)).status == 200
