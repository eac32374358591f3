"""Headers of every answer, and what changes behind https and behind a proxy."""

import re
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client

from audit.client_address import parse_address
from audit.models import Event
from keyportal.http_server.environ import PEER, REQUEST_ID
from keyportal.http_server.request import Request, Sender
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db
PATHS = ["/", "/accounts/login/", "/nothing", "/api/v1/me", "/api/v1/nothing", "/healthz", "/admin/login/", "/keys/"]


@pytest.mark.security("B-02")
@pytest.mark.parametrize("path", PATHS)
def test_https_is_asked_for_on_every_https_answer_and_on_no_other(client: Client, path: str) -> None:
    assert client.get(path, secure=True)["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert "Strict-Transport-Security" not in client.get(path)


@pytest.mark.security("B-03")
@pytest.mark.security("B-04")
@pytest.mark.security("B-05")
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_framing_sniffing_and_inline_code(client: Client, path: str) -> None:
    answer = client.get(path, secure=True)
    policy = answer["Content-Security-Policy"]
    for directive in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in policy
    assert policy.count("script-src") == policy.count("script-src 'self'")  # or not at all, which is 'none'
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.security("B-03")
def test_no_page_of_the_admin_holds_inline_code(client: Client, log_in: Any, operator: Any, make_key: MakeKey) -> None:
    key, _ = make_key()
    browser = log_in(operator)
    paths = ["", "accounts/user/", "audit/event/", "accounts/pendingmessage/", "apikeys/apikey/"]
    paths += ["credentials/scope/add/"]
    paths += ["tokens/tokenfamily/find/", f"apikeys/apikey/{quote(key.pk)}/change/"]
    for path in paths:
        answer = browser.get(f"/admin/{path}", secure=True)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>|\son[a-z]+=", page)


@pytest.mark.security("B-06")
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://portal.test"])
def test_no_other_origin_may_read_an_answer(client: Client, origin: str) -> None:
    for path in ("/api/v1/me", "/", "/healthz"):
        answer = client.get(path, secure=True, headers={"Origin": origin})
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.security("P-01")
@pytest.mark.security("P-07")
@pytest.mark.finding("H2")
def test_a_forwarded_scheme_counts_from_a_trusted_proxy_only() -> None:
    def sender(*headers: tuple[bytes, bytes], is_trusted: bool = True) -> Sender:
        request = Request(parse_address("127.0.0.1"), is_trusted, "http")
        request.headers = list(headers)
        return request.sender()

    scheme, address, named = (b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"203.0.113.9"), b"from-the-proxy-1"
    claim = (scheme, address, (b"x-request-id", named))
    untrusted = sender(*claim, is_trusted=False)
    assert (untrusted.scheme, str(untrusted.address)) == ("http", "127.0.0.1")
    assert untrusted.request_id != named.decode()
    trusted = sender(*claim)
    assert (trusted.scheme, trusted.request_id, str(trusted.peer)) == ("https", named.decode(), "127.0.0.1")
    twice = sender(scheme, scheme, (b"x-request-id", named), (b"x-request-id", named), (b"x-forwarded-proto", b"http"))
    assert twice.scheme == "http"
    assert re.fullmatch(r"[0-9a-f]{32}", twice.request_id)
    for odd in (b"bad id", b"", b"x" * 65, b"short", named + b"\n"):
        assert re.fullmatch(r"[0-9a-f]{32}", sender((b"x-request-id", odd)).request_id)
    for odd in (b"https, http", b"http,https", b"ws", b"on", b"https;", b"", b","):
        assert sender((b"x-forwarded-proto", odd)).scheme == "http"
    for usual in (b"HTTPS", b"https, https", b"wss", b" https,"):
        assert sender((b"x-forwarded-proto", usual)).scheme == "https"
    folded = sender(*((name.replace(b"-", b"_"), value) for name, value in claim))
    assert (folded.scheme, str(folded.address)) == ("http", "127.0.0.1")


@pytest.mark.security("P-08")
def test_an_event_names_the_client_and_the_peer(log_in: Any, developer: Any) -> None:
    browser = log_in(developer)
    resolved = {"REMOTE_ADDR": "203.0.113.9", PEER: "127.0.0.1", REQUEST_ID: "named"}
    browser.post("/accounts/logout/", secure=True, **resolved)
    event = Event.objects.get(verb="logged_out")
    assert (event.address, event.peer, event.request_id) == ("203.0.113.9", "127.0.0.1", "named")


@pytest.mark.conformance("BA-12")
def test_a_session_is_no_credential_on_a_path_for_machines(log_in: Any, developer: Any) -> None:
    browser = log_in(developer)
    assert browser.get("/keys/", secure=True).status_code == 200
    answer = browser.get("/api/v1/me", secure=True)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert not answer.cookies


def test_the_local_outbox_is_not_there_in_production(client: Client) -> None:
    assert client.get("/outbox/", secure=True).status_code == 404


def test_the_theme_sends_nobody_elsewhere(client: Client) -> None:
    for target in ("https://evil.example/", "//evil.example", "javascript:alert(1)", ""):
        answer = client.post("/theme/", {"theme": "dark", "next": target}, secure=True)
        assert answer["Location"] == "/"
    assert client.cookies["theme"].value == "dark"
    client.post("/theme/", {"theme": "neon"}, secure=True)
    assert client.cookies["theme"].value == "dark"


@pytest.mark.security("P-01")
def test_a_page_over_plain_http_leads_to_the_configured_address(client: Client) -> None:
    answer = client.get("/accounts/login/?next=/keys/")
    assert (answer.status_code, answer["Location"]) == (301, "https://portal.test/accounts/login/?next=/keys/")
    for path in ("/healthz", "/api/v1/me"):
        assert client.get(path).status_code in (200, 401)
