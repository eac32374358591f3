"""Behind nginx and Caddy a request is whole, bounded and one."""

import json
from contextlib import ExitStack
from typing import Final

import pytest

from tests.fronts import OWNER, Front
from tests.oauth_client import ClientKey, basic
from tests.portal import FORM
from tests.wire import chunked, exchange, head, wire

pytestmark = [pytest.mark.once, pytest.mark.finding("H2")]

GRANT: Final = b"grant_type=client_credentials"


def test_a_body_has_a_bound(front: Front) -> None:
    with wire(front.port, tls=front.tls) as line:
        line.send(head("POST", "/accounts/login/", f"Content-Type: {FORM}", f"Content-Length: {2560 * 1024 + 1}"))
        assert line.reply().status == 413
    machine = front.request("POST", "/oauth/token", f"Content-Type: {FORM}", body=bytes(64 * 1024 + 1))
    assert (machine.status, json.loads(machine.body)["error"]) == (413, "invalid_request")
    with wire(front.port, tls=front.tls) as line:
        line.send(head("POST", "/oauth/token", f"Content-Type: {FORM}", "Transfer-Encoding: chunked"))
        assert line.send(chunked(bytes(70_000))).reply().status == 413
    # As long as a page may be: refused for what it is.
    page = front.request("POST", "/accounts/login/", f"Content-Type: {FORM}", body=b"x=" + b"y" * (2560 * 1024 - 2))
    assert page.status == 403


def test_a_body_in_chunks_is_read_and_half_of_one_is_not(front: Front) -> None:
    lines = [f"Authorization: {basic(*front.client)}", f"Content-Type: {FORM}"]
    whole = exchange(
        front.port,
        head("POST", "/oauth/token", *lines, "Transfer-Encoding: chunked") + chunked(GRANT[:5], GRANT[5:]),
        tls=front.tls,
    )
    assert whole.status == 200
    count = "from audit.models import Event as E; print(E.objects.filter(verb='app_logged_in').count())"
    before = front.portal.shell(count)
    for line, body in (
        (f"Content-Length: {len(GRANT) + 13}", GRANT),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(GRANT), GRANT)),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\nzz\r\n" % (len(GRANT), GRANT)),
    ):
        with wire(front.port, tls=front.tls) as opened:
            opened.send(head("POST", "/oauth/token", *lines, line) + body)
    assert front.request("GET", "/api/v1/me", front.bearer()).status == 200
    assert front.portal.shell(count) == before


@pytest.mark.security("R-21")
def test_half_requests_hold_nobody_up(front: Front) -> None:
    halves = {
        head("POST", "/oauth/token", f"Content-Type: {FORM}", "Content-Length: 29") + GRANT[:5]: 60,
        head("POST", "/accounts/login/", "Content-Length: 10"): 60,
        head("POST", "/oauth/token", "Transfer-Encoding: chunked") + b"5\r\nabc": 20,
        head("GET", "/api/v1/me")[:-2]: 60,
        b"GET /gateway/au": 20,
    }
    with ExitStack() as stack:
        for half, many in halves.items():
            for _ in range(many):
                stack.enter_context(wire(front.port, tls=front.tls)).send(half)
        for path in ("/gateway/auth", "/healthz", "/readyz", "/api/v1/me", "/accounts/login/") * 3:
            assert front.request("GET", path, front.bearer()).status == 200


@pytest.mark.security("P-06")
@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 3", "Content-Length: 4"],
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Content-Length: +3"],
        ["Content-Length: 0x3"],
        ["Content-Length: -1"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Host: elsewhere.example"],
    ],
)
def test_nothing_is_smuggled_behind_what_two_servers_read_differently(front: Front, lines: list[str]) -> None:
    victim = ClientKey(*front.portal.make_key(OWNER))
    hidden = head("DELETE", "/api/v1/tokens", f"Authorization: Bearer {victim.secret}", close=False)
    for body in (b"abc" + hidden, b"0\r\n\r\n" + hidden, b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)):
        with wire(front.port, tls=front.tls) as opened:
            # The proxy is to close behind it: what is done all the same, it has not seen.
            opened.send(head("POST", "/api/v1/tokens/refresh", *lines) + body)
            try:
                # 503 is what Caddy makes of a body that it can't read.
                assert opened.reply().status in (400, 401, 415, 422, 501, 503), lines
            except ConnectionError:
                continue
    assert front.request("GET", "/api/v1/me", f"Authorization: Bearer {victim.secret}").status == 200
