"""The portal itself behind nginx and Caddy, which end TLS, with the very files of deploy/."""

import json
import re
from typing import Final

import pytest
import requests

from keyportal.http_server.bounds import IDLE
from tests.fronts import OWNER, PASSWORD, Front
from tests.gateways import CERTIFICATE
from tests.portal import ROOT
from tests.wire import exchange, field, head, wire

pytestmark = [pytest.mark.once, pytest.mark.finding("H2")]

IDLE_OF: Final = {
    "nginx/conf.d/keyportal.conf": r"keepalive_timeout (\d+)s;",
    "nginx/conf.d/portal.conf": r"keepalive_timeout (\d+)s;",
    "caddy/Caddyfile": r"\bkeepalive (\d+)s",
    "caddy/Portal.Caddyfile": r"\bkeepalive (\d+)s",
    "haproxy/haproxy.cfg": r"pool-purge-delay (\d+)s",
}
"""How long each file has a connection to keyportal idle."""


def test_a_page_is_led_to_https_and_a_machine_is_told(front: Front) -> None:
    for path in ("/", "/accounts/login/?next=/keys/", "/docs/errors/expired/", "/nothing%20here"):
        for method in ("GET", "HEAD"):
            with wire(front.plain) as line:
                answer = line.send(head(method, path)).reply(to_head=method == "HEAD")
            assert (answer.status, answer.header("location")) == (301, f"https://127.0.0.1:{front.port}{path}")
        assert exchange(front.plain, head("POST", path, "Content-Length: 0")).status == 403
    answered = front.answered()
    for path in (
        "/api/v1/me",
        "/api/v1/tokens",
        "/oauth/token",
        "/gateway/auth",
        "/healthz",
        "/metrics",
        "/api/",
        "/.well-known/jwks.json",
        "//api/v1/me",
        "/x/../api/v1/me",
        "/%61pi/v1/me",
        "/api",
    ):
        for method in ("GET", "POST", "OPTIONS"):
            answer = exchange(front.plain, head(method, path, front.bearer(), "Content-Length: 0"))
            assert answer.status in ((400, 403) if ".." not in path else (400, 403, 301)), path
            assert front.client.secret.encode() not in answer.body
            assert answer.header("location") == "" or ".." in path
    assert "Use https" in json.loads(exchange(front.plain, head("GET", "/api/v1/me", front.bearer())).body)["detail"]
    assert front.answered() == answered  # none of it came to the portal


def test_the_authority_of_the_certificate_gets_its_answer_over_plain_http(front: Front) -> None:
    """ACME's HTTP-01 (RFC 8555 §8.3): for nginx, certbot puts a file there. Caddy answers those of its own."""
    if front.name == "caddy":
        assert exchange(front.plain, head("GET", "/.well-known/acme-challenge/token")).status == 403
        return
    (challenges := front.folder / "html/.well-known/acme-challenge").mkdir(parents=True)
    (challenges / "token").write_text("token.thumbprint")
    answer = exchange(front.plain, head("GET", "/.well-known/acme-challenge/token"))
    assert (answer.status, answer.body) == (200, b"token.thumbprint")
    assert exchange(front.plain, head("GET", "/.well-known/acme-challenge/other")).status == 404


@pytest.mark.finding("H18")
@pytest.mark.parametrize("path", ["/gateway/auth", "/api/v1/me", "/oauth/introspect", "/", "/keys/"])
def test_another_name_is_not_answered_with_200(front: Front, path: str) -> None:
    """Caddy does so for a name that it does not know; a gateway would take it for a good verdict."""
    for host in ("other.example", "10.0.0.7:8000", "127.0.0.1.other.example"):
        assert 300 <= exchange(front.port, head("GET", path, host=host), tls=front.tls).status < 500
        assert 300 <= exchange(front.plain, head("GET", path, host=host)).status < 500


def test_metrics_are_for_the_portal_s_own_network(front: Front) -> None:
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?x", "/metrics//"):
        answer = front.request("GET", path)
        assert answer.status in (400, 404), path
        assert b"keyportal_" not in answer.body
    assert front.portal.get("/metrics").status == 200


def test_somebody_logs_in(front: Front) -> None:
    """With the cookies, the origin and the fields that a browser sends."""
    front.portal.forget_guesses()
    base = f"https://127.0.0.1:{front.port}"
    with requests.Session() as browser:
        browser.trust_env, browser.verify = False, str(front.folder / CERTIFICATE)
        page = browser.get(f"{base}/accounts/login/?next=/keys/")
        assert page.headers["Strict-Transport-Security"]
        form = {"login": OWNER, "password": PASSWORD, "csrfmiddlewaretoken": field(page.text, "csrfmiddlewaretoken")}
        sent_by = {"Origin": base, "Referer": page.url}
        answer = browser.post(f"{base}/accounts/login/?next=/keys/", data=form, headers=sent_by)
        assert (answer.status_code, answer.url) == (200, f"{base}/keys/")
        assert browser.cookies
        assert all(cookie.secure for cookie in browser.cookies)
        refused = browser.post(f"{base}/accounts/logout/", data=form, headers={"Origin": "https://elsewhere.example"})
        assert refused.status_code == 403


@pytest.mark.conformance("FA-04")
def test_who_asks_while_the_portal_is_away_is_told_when_to_ask_again(front: Front) -> None:
    front.portal.stop()
    try:
        for path in ("/api/v1/me", "/accounts/login/"):
            answer = front.request("GET", path, front.bearer())
            assert (answer.status, answer.header("retry-after")) == (503, "2")
    finally:
        front.portal.start(workers=1)


def test_links_that_hold_a_secret_are_in_no_log_of_the_proxy(front: Front) -> None:
    front.request("GET", "/docs/errors/expired/")
    paths = ("confirm-email", "email/confirm", "email/undo", "login/unlock", "password/reset/key")
    for path in paths:
        front.request("GET", f"/accounts/{path}/a-secret-of-somebody/")
    written = "".join(log.read_text() for log in front.folder.glob("*.log"))
    assert "a-secret-of-somebody" not in written
    assert front.name != "nginx" or "/docs/errors/expired/" in written


@pytest.mark.parametrize("file", IDLE_OF)
def test_a_proxy_closes_what_is_idle_before_the_portal_does(file: str) -> None:
    """The side that closes second may just have sent a request."""
    found = re.findall(IDLE_OF[file], (ROOT / "deploy" / file).read_text())
    assert found
    assert all(0 < int(seconds) < IDLE for seconds in found)
