"""Where the portal's address is https, plain http gets no token and no verdict, and is told why."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_django import Settings

from keyportal.http_server import plain_http
from keyportal.http_server.server import HTTPServer
from tests.databases import portal_database
from tests.http_server import OtherEnd
from tests.oauth_client import ClientKey, OAuthClient, basic
from tests.portal import FORM, Portal
from tests.wire import Reply, exchange, head

pytestmark = [pytest.mark.once, pytest.mark.finding("H5")]

STRANGER: Final = "192.0.2.1"
TOKENS: Final = [
    ("POST", "/oauth/token"),
    ("POST", "/oauth/token/"),
    ("POST", "/oauth/%74oken"),
    ("POST", "http://portal.test/oauth/token"),
    ("POST", "https://portal.test/oauth/token"),
    ("POST", "/oauth/revoke"),
    ("POST", "/oauth/introspect"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens"),
    ("POST", "/api/v1/tokens/refresh"),
    ("POST", "/api/v1/verify"),
]
OTHERS: Final = [
    ("GET", "/api/v1/me"),
    ("HEAD", "/api/v1/me"),
    ("OPTIONS", "/api/v1/me"),
    ("GET", "/api/v1/nothing"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/gateway/authx"),
]
GATEWAY: Final = ["/gateway/auth", "/gateway/auth?scope=reports:read", "/gateway/auth/below"]
HEALTH: Final = ["/healthz", "/healthz/", "/readyz", "/metrics"]
BODY: Final = b"grant_type=client_credentials"
THROUGH: Final = b"through"


def pass_through(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Be a Django that says that the request came through."""
    start_response("200 OK", [("Content-Length", str(len(THROUGH)))])
    return [THROUGH]


def exchange_with(method: str, path: str, *lines: str, end: OtherEnd, body: bytes = b"") -> Reply:
    """Return what the HTTP server answers to a client at this other end."""
    http_server, loop = HTTPServer(pass_through), asyncio.new_event_loop()
    for threads in (http_server.verdicts, http_server.others):
        threads.start(loop)
    connection = http_server()
    connection.connection_made(end)
    connection.data_received(head(method, path, *lines, host="portal.test") + body)

    async def until_done() -> None:
        while http_server.verdicts.in_progress or http_server.others.in_progress:
            await asyncio.sleep(0)

    loop.run_until_complete(until_done())
    loop.close()
    raw, _, came = end.came.partition(b"\r\n\r\n")
    status, *headers = raw.decode("latin-1").split("\r\n")
    pairs = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in headers)]
    return Reply(int(status.split()[1]), pairs, came)


def is_let_through(path: str, *lines: str, end: OtherEnd) -> bool:
    return exchange_with("GET", path, *lines, end=end).body == THROUGH


@pytest.mark.parametrize(("method", "path"), TOKENS)
def test_where_tokens_are_given_the_refusal_says_that_the_credential_is_lost(method: str, path: str) -> None:
    answer = exchange_with(method, path, f"Content-Length: {len(BODY)}", end=OtherEnd(STRANGER), body=BODY)
    assert (answer.status, answer.header("cache-control"), answer.header("connection")) == (403, "no-store", "close")
    if "/api/" in path:
        assert (answer.json["code"], answer.json["detail"]) == (plain_http.CODE, plain_http.REPLACE)
        assert answer.json["type"] == "https://portal.test/docs/errors/https_required/"
        assert answer.header("content-type") == "application/problem+json"
    else:
        assert answer.json == {"error": "invalid_request", "error_description": plain_http.REPLACE}
    assert "Replace it" in plain_http.REPLACE


def test_what_verify_answers_before_django_is_refused_as_well() -> None:
    lines = ("Content-Type: application/json", "Authorization: Bearer x")
    body = b'{"credential": "x"}'
    with_body = exchange_with(
        "POST", "/api/v1/verify", f"Content-Length: {len(body)}", *lines, end=OtherEnd(STRANGER), body=body
    )
    for answer in (with_body, exchange_with("POST", "/api/v1/verify", *lines, end=OtherEnd(STRANGER))):
        assert (answer.status, answer.json["code"]) == (403, plain_http.CODE)


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_everything_else_for_machines_is_refused_too(method: str, path: str) -> None:
    answer = exchange_with(method, path, end=OtherEnd(STRANGER))
    assert (answer.status, answer.header("location")) == (403, "")
    if method != "HEAD":
        assert (answer.json["code"], answer.json["detail"]) == (plain_http.CODE, plain_http.USE_HTTPS)
        with_key = exchange_with(method, path, "Authorization: Bearer x", end=OtherEnd(STRANGER))
        assert with_key.json["detail"] == plain_http.REPLACE


@pytest.mark.parametrize("path", GATEWAY)
def test_a_gateway_is_told_by_a_header(path: str) -> None:
    answer = exchange_with("GET", path, "Authorization: Bearer x", end=OtherEnd(STRANGER))
    assert (answer.status, answer.body) == (403, b"")
    assert answer.header("x-keyportal-code") == plain_http.CODE
    assert (answer.header("cache-control"), answer.header("www-authenticate")) == ("no-store", "")
    assert answer.header("x-request-id")


@pytest.mark.parametrize("path", HEALTH)
def test_health_and_metrics_are_told_to_whoever_asks(path: str) -> None:
    assert exchange_with("GET", path, end=OtherEnd(STRANGER)).body in (THROUGH, b'{"status": "ok"}')


def test_a_client_that_waits_before_its_body_need_not_send_it() -> None:
    lines = ("Expect: 100-continue", "Content-Length: 500")
    answer = exchange_with("POST", "/oauth/token", *lines, end=OtherEnd(STRANGER))
    assert (answer.status, answer.json["error_description"]) == (403, plain_http.REPLACE)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_on_the_machine_itself_plain_http_is_taken(peer: str) -> None:
    assert is_let_through("/api/v1/me", end=OtherEnd(peer))


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
def test_a_network_may_be_named(settings: Settings, peer: str) -> None:
    assert not is_let_through("/api/v1/me", end=OtherEnd(peer))
    settings.KEYPORTAL_PLAIN_HTTP_NETWORKS = ("10.1.0.0/16", "fd00::/8")
    assert is_let_through("/api/v1/me", end=OtherEnd(peer))
    assert not is_let_through("/api/v1/me", end=OtherEnd("10.2.0.1"))


def test_over_tls_nothing_is_refused() -> None:
    assert is_let_through("/api/v1/me", end=OtherEnd(STRANGER, sslcontext=object()))


def test_a_portal_with_a_plain_address_takes_plain_http(settings: Settings) -> None:
    settings.HTTPS = False
    assert is_let_through("/api/v1/me", end=OtherEnd(STRANGER))


@pytest.mark.parametrize("said", ["http", "HTTP", "ws", "https, http", "http,https", "nonsense"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", ""])
def test_what_a_proxy_took_over_plain_http_is_refused_wherever_the_proxy_is(
    settings: Settings, peer: str, said: str
) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ("127.0.0.1", "10.1.2.3", "unix")
    settings.KEYPORTAL_PLAIN_HTTP_NETWORKS = ("10.1.0.0/16",)
    line = f"X-Forwarded-Proto: {said}"
    assert not is_let_through("/api/v1/me", line, end=OtherEnd(peer))
    assert not is_let_through("/api/v1/me", line, end=OtherEnd(peer, sslcontext=object()))
    assert not is_let_through("/api/v1/me", "X-Forwarded-Proto: https", line, end=OtherEnd(peer))
    assert exchange_with("GET", "/gateway/auth", line, end=OtherEnd(peer)).header("x-keyportal-code") == plain_http.CODE
    assert is_let_through("/readyz", line, end=OtherEnd(peer))
    assert is_let_through("/api/v1/me", end=OtherEnd(peer))


@pytest.mark.parametrize("said", ["https", "HTTPS", "wss", "https, https"])
def test_what_a_proxy_took_over_tls_is_taken_from_a_trusted_one(settings: Settings, said: str) -> None:
    line = f"X-Forwarded-Proto: {said}"
    assert not is_let_through("/api/v1/me", line, end=OtherEnd(STRANGER))
    settings.KEYPORTAL_TRUSTED_PROXIES = (STRANGER,)
    assert is_let_through("/api/v1/me", line, end=OtherEnd(STRANGER))
    assert not is_let_through("/api/v1/me", end=OtherEnd(STRANGER))


def test_the_log_says_now_and_then_who_is_refused_and_what_lets_them_in(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ("127.0.0.1",)
    monkeypatch.setattr(plain_http, "refusal_log", plain_http.RefusalLog())
    with caplog.at_level(logging.WARNING, "keyportal.http_server.plain_http"):
        for _ in range(3):
            assert not is_let_through("/api/v1/me", end=OtherEnd(STRANGER))
        (line,) = caplog.messages
        assert STRANGER in line
        assert "KEYPORTAL_PLAIN_HTTP_NETWORKS" in line
        plain_http.refusal_log.due = 0.0
        assert not is_let_through("/api/v1/me", "X-Forwarded-Proto: http", end=OtherEnd("127.0.0.1"))
        assert "the proxy 127.0.0.1" in caplog.messages[-1]


@contextmanager
def in_production(folder: Path, **environment: str) -> Iterator[Portal]:
    with portal_database(folder) as database_url:
        portal = Portal(folder, database_url, **environment)
        portal.environment |= {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": f"https://127.0.0.1:{portal.port}"}
        with portal.running(workers=1):
            yield portal


def test_a_server_behind_a_proxy_gives_nothing_to_its_plain_clients(tmp_path: Path) -> None:
    with in_production(tmp_path, KEYPORTAL_TRUSTED_PROXIES="127.0.0.1") as portal:
        portal.make_developer("plain@example.com")
        client = ClientKey(*portal.make_key("plain@example.com"))
        oauth_client = OAuthClient(portal)
        plain, encrypted = ({"X-Forwarded-Proto": scheme} for scheme in ("http", "https"))
        bearer = {"Authorization": f"Bearer {client.secret}"}
        for path in ("/api/v1/me", "/gateway/auth"):  # cached by the second time, and refused all the same
            assert [portal.get(path, **bearer, **encrypted).status for _ in range(2)] == [200, 200]
            assert portal.get(path, **bearer, **plain).status == 403
            assert portal.get(path, **bearer).status == 200
        grant = {"grant_type": "client_credentials"}
        for headers, status in ((plain, 403), (encrypted, 200), ({}, 200)):
            assert oauth_client.token(grant, client=client, **headers).status == status
            login = {"Authorization": basic("plain@example.com", "correct horse battery staple"), **headers}
            assert oauth_client.post("/api/v1/tokens", **login).status == status
        half = head("POST", "/oauth/token", f"Content-Type: {FORM}", "Content-Length: 40", "X-Forwarded-Proto: http")
        refused = exchange(portal.port, half)  # before the body is there
        assert (refused.status, json.loads(refused.body)["error"]) == (403, "invalid_request")
        assert portal.get("/healthz", **plain).status == 200
        assert portal.get("/accounts/login/", **plain).status == 301
        assert client.secret not in portal.log.read_text()
