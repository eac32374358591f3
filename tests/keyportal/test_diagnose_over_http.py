"""What a portal with https behind a trusted proxy tells a client of its request, over raw sockets."""

import json
import re
from typing import Final

import pytest

from tests.portal import Portal
from tests.wire import Reply, exchange, head
from vault.secret_format import new_secret

pytestmark = pytest.mark.once
SECRET: Final = new_secret("kp", "live")
BEARER: Final = f"Authorization: Bearer {SECRET}"
JSON: Final = "Accept: application/json"
STRANGER: Final = "127.0.0.2"
"""An address of this machine that is no trusted proxy's."""


def ask(
    portal: Portal, *lines: str, path: str = "/diagnose/", host: str = "127.0.0.1", source: str = "127.0.0.1"
) -> Reply:
    return exchange(portal.port, head("GET", path, *lines, host=host), source=source)


def codes(answer: Reply) -> set[str]:
    """Return what an answer in JSON found."""
    assert answer.status == 200
    return {finding["code"] for finding in answer.json["findings"]}


@pytest.mark.finding("H2")
def test_the_portal_tells_what_its_trusted_proxy_reports(tls_portal: Portal) -> None:
    answer = ask(tls_portal, JSON, BEARER, "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
    assert {"address_forwarded", "scheme_https", "host_expected", "credential_live"} <= codes(answer)
    assert (answer.json["client_address"], answer.json["scheme"]) == ("203.0.113.7", "https")
    assert answer.json["request_id"] == answer.header("x-request-id")
    assert answer.json["verify_command"] == 'curl -H "Authorization: Bearer $API_KEY" https://127.0.0.1/api/v1/me'


@pytest.mark.finding("H5")
@pytest.mark.finding("H18")
def test_what_other_pages_refuse_or_redirect_is_diagnosed(tls_portal: Portal) -> None:
    lines = (JSON, BEARER, "Authorization: Basic eDp5", "X-Forwarded-Proto: http", "X_Forwarded_For: 203.0.113.7")
    for path in ("/diagnose/", "/diagnose", "/%64iagnose/"):
        answer = ask(tls_portal, *lines, path=path, host="evil.example")
        assert codes(answer) >= {"scheme_http_in_clear", "host_unexpected", "authorization_several", "other_spelling"}
        assert not answer.header("location")
    there = "/docs/errors/expired/"
    assert ask(tls_portal, "X-Forwarded-Proto: https", path=there, host="evil.example").status == 400
    assert ask(tls_portal, "X-Forwarded-Proto: http", path=there).status == 301


def test_a_stranger_s_forwarded_headers_are_found_and_ignored(tls_portal: Portal) -> None:
    answer = ask(tls_portal, JSON, "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", source=STRANGER)
    assert {"address_header_ignored", "scheme_http_private"} <= codes(answer)
    assert (answer.json["client_address"], answer.json["scheme"]) == (STRANGER, "http")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ([], "text/plain; charset=utf-8"),
        (["Accept: */*"], "text/plain; charset=utf-8"),
        (["Accept: image/png"], "text/plain; charset=utf-8"),
        (["Accept: text/html;a*=x''y, nonsense"], "text/html; charset=utf-8"),
        (["Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], "text/html; charset=utf-8"),
        (["Accept: application/json"], "application/json"),
        (["Accept: application/json", "Accept: */*"], "application/json"),
    ],
)
def test_each_client_gets_its_format_and_every_format_says_the_same(
    tls_portal: Portal, accept: list[str], kind: str
) -> None:
    answer = ask(tls_portal, *accept, f"Authorization: Bearer {SECRET[:-1]}", "X-Forwarded-Proto: https")
    assert (answer.status, answer.header("content-type"), answer.header("cache-control")) == (200, kind, "no-store")
    text = answer.body.decode()
    assert "It begins like a live key, but is 1 character too short." in text
    assert "Copy the whole secret again." in text
    assert "api/v1/me" in text
    assert answer.header("x-request-id") in text
    assert not re.search(r"[A-Za-z0-9]{44}", text)  # nothing of the secret


def test_nothing_that_was_sent_comes_back(tls_portal: Portal) -> None:
    names = ("Authorization", "Cookie", "X-Forwarded-For", "X-Api-Key", "X_Forwarded_For", "Accept-Language", "Planted")
    lines = [f"{name}: planted" for name in names]
    for accept in ("text/html", "application/json", "*/*"):
        answer = ask(tls_portal, f"Accept: {accept}", *lines, path="/diagnose/?planted=planted", host="planted.example")
        assert (answer.status, b"lanted" in answer.body) == (200, False)
        assert "lanted" not in json.dumps(answer.headers)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /diagnose/ HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /diagnose/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /diagnose/?%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"POST /diagnose/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"405"),
        (b"GET /diagnose/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\nConnection: close\r\n\r\n", b"431"),
    ],
    ids=["no host", "two hosts", "a NUL", "a body", "too large"],
)
def test_what_is_not_diagnosed_is_refused_as_everywhere(tls_portal: Portal, sent: bytes, status: bytes) -> None:
    assert tls_portal.send_raw(sent).split(b" ")[1] == status


def test_a_client_of_http_1_0_need_not_name_a_host(tls_portal: Portal) -> None:
    answer = tls_portal.send_raw(b"GET /diagnose/ HTTP/1.0\r\nAccept: application/json\r\n\r\n")
    assert b"host_expected" in answer
