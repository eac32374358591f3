"""Hosts, slashes, charsets and media types over raw sockets: read where they do no harm, named where they do."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.keyportal.raw_requests import GRANT, client, token_head
from tests.oauth_client import ClientKey
from tests.portal import FORM, Portal
from tests.wire import exchange, head, wire

__all__ = ["client", "token_head"]


@pytest.mark.security("P-04")
def test_a_request_for_no_host_is_400(portal: Portal) -> None:
    for path in ("/accounts/login/", "/api/v1/me"):
        answer = exchange(portal.port, head("GET", path, host=""))
        assert answer.status == 400
        assert b"Host header" in answer.body


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
        assert exchange(portal.port, head("GET", path, bearer, host=host)).status == 200, path
    metadata = exchange(portal.port, head("GET", "/.well-known/oauth-authorization-server", host=host)).json
    assert metadata["issuer"] == portal.url
    problem = exchange(portal.port, head("GET", "/api/v1/me", host=host)).json
    assert problem["type"].startswith(portal.url)


@pytest.mark.finding("H18")
@pytest.mark.parametrize("host", HOSTS)
def test_pages_are_shown_under_their_own_hosts_only_and_the_log_says_why(portal: Portal, host: str) -> None:
    answer = exchange(portal.port, head("GET", "/accounts/login/", host=host))
    assert answer.status == 400
    assert b"The Host header names a host" in answer.body
    assert "400: The Host header names a host" in portal.log.read_text()
    assert "elsewhere.example" not in portal.log.read_text()


@pytest.mark.finding("H21")
def test_a_slash_at_the_end_is_no_other_address(portal: Portal, client: ClientKey) -> None:
    bearer = f"Authorization: Bearer {client.secret}"
    for path in (*MACHINES, "/gateway/auth"):
        assert exchange(portal.port, head("GET", f"{path}/", bearer)).status == 200, path
    for path in ("/admin", "/keys", "/accounts/login", "/accounts/password/reset", "/docs/errors/expired"):
        for method in ("GET", "HEAD"):
            with wire(portal.port) as line:
                answer = line.send(head(method, f"{path}?a=b")).reply(to_head=method == "HEAD")
            assert (answer.status, answer.header("location")) == (301, f"{path}/?a=b"), path
        assert exchange(portal.port, head("POST", path, "Content-Length: 0")).status in (403, 404)
    assert exchange(portal.port, head("GET", "//evil.example/keys")).header("location") == ""
    assert exchange(portal.port, head("GET", "/api/v1/me//", bearer)).status == 404


CHARSETS: Final = ("utf-8", '"UTF-8"', "US-ASCII", "iso-8859-1", "ISO-8859-1", "latin1", "windows-1252")


@pytest.mark.finding("H20")
@pytest.mark.parametrize("charset", CHARSETS)
def test_a_charset_that_does_no_harm_is_read(portal: Portal, token_head: Callable[..., bytes], charset: str) -> None:
    for body, status in ((GRANT, 200), (GRANT + b"&scope=%E9", 400), (GRANT + b"&foo=\xe9", 200), (GRANT * 2, 400)):
        made = token_head(f"Content-Length: {len(body)}").replace(FORM.encode(), f"{FORM}; charset={charset}".encode())
        assert exchange(portal.port, made + body).status == status, body


@pytest.mark.finding("H20")
@pytest.mark.parametrize(
    "written", ["charset=zlib", "charset=utf-7", "charset*=utf-8''x", "x*0*=b", "charset=\xff", "a"]
)
def test_where_nothing_is_decoded_no_charset_matters(portal: Portal, client: ClientKey, written: str) -> None:
    lines = [f"Authorization: Bearer {client.secret}", f"Content-Type: application/json; {written}"]
    for path in ("/api/v1/me", "/readyz", "/accounts/login/?next=/keys/", "/gateway/auth"):
        assert exchange(portal.port, head("GET", path, *lines)).status == 200, path


@pytest.mark.finding("H20")
@pytest.mark.parametrize("written", ["charset=zlib", "charset=rot13", "charset=x", "charset=utf-8; charset=latin1"])
def test_a_charset_that_nobody_reads_is_named(portal: Portal, token_head: Callable[..., bytes], written: str) -> None:
    made = token_head(f"Content-Length: {len(GRANT)}").replace(FORM.encode(), f"{FORM}; {written}".encode())
    answer = exchange(portal.port, made + GRANT)
    assert answer.status == 400
    assert "Content-Type header" in answer.json["error_description"]


@pytest.mark.finding("H25")
@pytest.mark.parametrize("accept", ["application/problem+json", "text/html, application/problem+json;q=0.5", "*/*", ""])
def test_what_the_api_sends_can_be_asked_for(portal: Portal, client: ClientKey, accept: str) -> None:
    lines = [f"Accept: {accept}"]
    assert exchange(portal.port, head("GET", "/api/v1/me", *lines)).status == 401
    bearer = f"Authorization: Bearer {client.secret}"
    assert exchange(portal.port, head("GET", "/api/v1/me", *lines, bearer)).status == 200
    nothing = exchange(portal.port, head("GET", "/api/v1/nothing", *lines))
    assert nothing.header("content-type") == "application/problem+json"
