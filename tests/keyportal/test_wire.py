"""Over raw sockets: what was really sent is what counts, in order, whole or not at all."""

import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import pytest

from tests.oauth_client import ClientKey, basic
from tests.portal import FORM, Portal
from tests.wire import chunked, head, sent, wire

GRANT: Final = b"grant_type=client_credentials"
CHUNKS: Final = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def client(portal: Portal) -> ClientKey:
    email = f"wire-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    return ClientKey(*portal.make_key(email))


@pytest.fixture(scope="module")
def token_head(client: ClientKey) -> Callable[..., bytes]:
    """Make the head of a request for a token."""

    def make(*lines: str) -> bytes:
        authorization = f"Authorization: {basic(client.id, client.secret)}"
        return head("POST", "/oauth/token", f"Content-Type: {FORM}", authorization, *lines)

    return make


@pytest.mark.finding("H17")
@pytest.mark.parametrize("pieces", [[GRANT], [GRANT[:5], GRANT[5:]], [GRANT[n : n + 1] for n in range(len(GRANT))]])
def test_a_body_in_chunks_is_as_good_as_one_with_a_length(
    portal: Portal, token_head: Callable[..., bytes], pieces: list[bytes]
) -> None:
    answer = sent(portal.port, token_head(CHUNKS) + chunked(*pieces))
    assert answer.status == 200
    assert answer.json["access_token"]
    trailed = sent(portal.port, token_head(CHUNKS) + chunked(*pieces, end=b"0\r\nX-Checksum: 1\r\n\r\n"))
    assert trailed.status == 200


@pytest.mark.finding("H2")
def test_what_stands_behind_a_body_is_no_header(portal: Portal, client: ClientKey) -> None:
    """A proxy passes a client's trailers on, behind its own headers: they would be believed as those are."""
    trailer = f"0\r\nAuthorization: {basic(client.id, client.secret)}\r\nX-Request-ID: from-the-client\r\n\r\n"
    asked = head("POST", "/oauth/token", f"Content-Type: {FORM}", CHUNKS, "Trailer: Authorization")
    answer = sent(portal.port, asked + chunked(GRANT, end=trailer.encode()))
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
    answer = sent(portal.port, token_head(line) + body, half_closed=True)
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


@pytest.mark.security("P-04")
def test_a_request_for_no_host_is_400(portal: Portal) -> None:
    for path in ("/accounts/login/", "/api/v1/me"):
        answer = sent(portal.port, head("GET", path, host=""))
        assert answer.status == 400
        assert b"Host header" in answer.body


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
    assert sent(portal.port, head("GET", "/api/v1/me", f"Authorization: Bearer {victim}")).status == 200


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


def test_who_asks_before_sending_a_body_is_told_to(portal: Portal, token_head: Callable[..., bytes]) -> None:
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
    answer = sent(portal.port, head("GET", target))
    assert answer.status in (200, 400, 404)
    assert b"elsewhere" not in answer.body


@pytest.mark.parametrize("method", ["BREW", "get", "GET\x00", "X" * 5000, "GÉT"])
def test_a_method_that_http_does_not_know_is_400(portal: Portal, method: str) -> None:
    answer = sent(portal.port, head(method, "/keys/"))
    assert answer.status == 400
    assert b"<h1>" in answer.body


@pytest.mark.parametrize(
    ("line", "name"), [("Authorization: Bearer a\x00b", "Authorization"), ("X-Odd: a\x01b", "X-Odd"), ("No colon", "")]
)
def test_a_header_that_can_not_be_read_is_named_and_never_quoted(portal: Portal, line: str, name: str) -> None:
    answer = sent(portal.port, head("GET", "/api/v1/me", line))
    assert answer.status == 400
    problem = json.loads(answer.body)
    assert problem["code"] == "bad_request"
    assert name in problem["detail"]
    assert "Bearer" not in problem["detail"]


@pytest.mark.security("R-21")
@pytest.mark.finding("H8")
def test_who_sends_half_a_request_holds_nobody_up_and_is_told_so(
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
                assert sent(portal.port, head("GET", path, bearer)).status == 200
            assert sent(portal.port, head("GET", "/accounts/login/")).status == 200
            assert sent(portal.port, token_head(f"Content-Length: {len(GRANT)}") + GRANT).status == 200
        told = [line.reply() for line in waiting]
        assert {answer.status for answer in told} == {408}
        assert {answer.header("connection") for answer in told} == {"close"}
        assert all(line.half_close().is_closed() for line in waiting)
    assert b"The body of the request did not arrive" in told[0].body
    assert b"The head of the request did not arrive" in told[-1].body


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
    assert sent(portal.port, head("GET", "/healthz", *lines)).status == status


def test_a_head_without_an_end_is_431(portal: Portal) -> None:
    with wire(portal.port) as line:
        line.send(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 200_000)
        assert line.reply().status == 431


def test_an_address_has_a_bound(portal: Portal) -> None:
    assert sent(portal.port, head("GET", "/healthz?" + "x" * 17_000)).status == 414
    assert sent(portal.port, head("GET", "/healthz?" + "x" * 10_000)).status == 200


MACHINES: Final = (
    "/healthz",
    "/readyz",
    "/api/v1/me",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
)
HOSTS: Final = ("10.1.2.3:8000", "keyportal.prod.svc.cluster.local", "[2001:db8::1]", "elsewhere.example", "a b", "%")


@pytest.mark.security("P-04")
@pytest.mark.finding("H18")
@pytest.mark.parametrize("host", HOSTS)
def test_machines_ask_under_any_host_and_no_answer_is_made_of_it(portal: Portal, client: ClientKey, host: str) -> None:
    bearer = f"Authorization: Bearer {client.secret}"
    for path in (*MACHINES, "/gateway/auth"):
        assert sent(portal.port, head("GET", path, bearer, host=host)).status == 200, path
    metadata = sent(portal.port, head("GET", "/.well-known/oauth-authorization-server", host=host)).json
    assert metadata["issuer"] == portal.url
    problem = sent(portal.port, head("GET", "/api/v1/me", host=host)).json
    assert problem["type"].startswith(portal.url)


@pytest.mark.finding("H18")
@pytest.mark.parametrize("host", HOSTS)
def test_pages_are_shown_under_their_own_hosts_only_and_the_log_says_why(portal: Portal, host: str) -> None:
    answer = sent(portal.port, head("GET", "/accounts/login/", host=host))
    assert answer.status == 400
    assert b"The Host header names a host" in answer.body
    assert "400: The Host header names a host" in portal.log.read_text()
    assert "elsewhere.example" not in portal.log.read_text()


@pytest.mark.finding("H21")
def test_a_slash_at_the_end_is_no_other_address(portal: Portal, client: ClientKey) -> None:
    bearer = f"Authorization: Bearer {client.secret}"
    for path in (*MACHINES, "/gateway/auth"):
        assert sent(portal.port, head("GET", f"{path}/", bearer)).status == 200, path
    for path in ("/admin", "/keys", "/accounts/login", "/accounts/password/reset", "/docs/errors/expired"):
        for method in ("GET", "HEAD"):
            with wire(portal.port) as line:
                answer = line.send(head(method, f"{path}?a=b")).reply(to_head=method == "HEAD")
            assert (answer.status, answer.header("location")) == (301, f"{path}/?a=b"), path
        assert sent(portal.port, head("POST", path, "Content-Length: 0")).status in (403, 404)
    assert sent(portal.port, head("GET", "//evil.example/keys")).header("location") == ""
    assert sent(portal.port, head("GET", "/api/v1/me//", bearer)).status == 404


CHARSETS: Final = ("utf-8", '"UTF-8"', "US-ASCII", "iso-8859-1", "ISO-8859-1", "latin1", "windows-1252")


@pytest.mark.finding("H20")
@pytest.mark.parametrize("charset", CHARSETS)
def test_a_charset_that_does_no_harm_is_read(portal: Portal, token_head: Callable[..., bytes], charset: str) -> None:
    for body, status in ((GRANT, 200), (GRANT + b"&scope=%E9", 400), (GRANT + b"&foo=\xe9", 200), (GRANT * 2, 400)):
        made = token_head(f"Content-Length: {len(body)}").replace(FORM.encode(), f"{FORM}; charset={charset}".encode())
        assert sent(portal.port, made + body).status == status, body


@pytest.mark.finding("H20")
@pytest.mark.parametrize(
    "written", ["charset=zlib", "charset=utf-7", "charset*=utf-8''x", "x*0*=b", "charset=\xff", "a"]
)
def test_where_nothing_is_decoded_no_charset_matters(portal: Portal, client: ClientKey, written: str) -> None:
    lines = [f"Authorization: Bearer {client.secret}", f"Content-Type: application/json; {written}"]
    for path in ("/api/v1/me", "/readyz", "/accounts/login/?next=/keys/", "/gateway/auth"):
        assert sent(portal.port, head("GET", path, *lines)).status == 200, path


@pytest.mark.finding("H20")
@pytest.mark.parametrize("written", ["charset=zlib", "charset=rot13", "charset=x", "charset=utf-8; charset=latin1"])
def test_a_charset_that_nobody_reads_is_named(portal: Portal, token_head: Callable[..., bytes], written: str) -> None:
    made = token_head(f"Content-Length: {len(GRANT)}").replace(FORM.encode(), f"{FORM}; {written}".encode())
    answer = sent(portal.port, made + GRANT)
    assert answer.status == 400
    assert "Content-Type header" in answer.json["error_description"]


@pytest.mark.finding("H25")
@pytest.mark.parametrize("accept", ["application/problem+json", "text/html, application/problem+json;q=0.5", "*/*"])
def test_what_the_api_sends_can_be_asked_for(portal: Portal, client: ClientKey, accept: str) -> None:
    lines = [f"Accept: {accept}"]
    assert sent(portal.port, head("GET", "/api/v1/me", *lines)).status == 401
    assert sent(portal.port, head("GET", "/api/v1/me", *lines, f"Authorization: Bearer {client.secret}")).status == 200
    nothing = sent(portal.port, head("GET", "/api/v1/nothing", *lines))
    assert nothing.header("content-type") == "application/problem+json"
