"""Whatever a client writes about who it is or where it comes from, in whatever spelling, arrives nowhere."""

import json
from typing import Final

import pytest

from tests.behind import OF_HTTP_1, OWNER, WAYS, Behind, behind_each
from tests.oauth_client import ClientKey, OAuthClient
from tests.services.service import Call
from tests.spellings import forged_headers
from tests.wire import Reply, chunked, head, wire

pytestmark = [pytest.mark.once, pytest.mark.finding("H2"), pytest.mark.conformance("FA-06")]

NAMES: Final = ("Key", "Owner", "Scopes", "Environment", "Kind", "Assertion")
BROKEN: Final = [
    "X-Keyportal-Owner : forged",
    "X-Keyportal-Owner\t: forged",
    " X-Keyportal-Owner: forged",
    "X-Folded: a\r\n X-Keyportal-Owner: forged",
    "X-Bare: a\rX-Keyportal-Owner: forged",
    "X-Bare: a\nX-Keyportal-Owner: forged",
    "X-Keyportal-Owner\x00: forged",
    "X-Keyportal\xadOwner: forged",
    "X\xe4Keyportal-Owner: forged",
    "X Keyportal Owner: forged",
    "X,Keyportal,Owner: forged",
    "X(Keyportal)Owner: forged",
    "X/Keyportal/Owner: forged",
    ": forged",
]


def call_of(answer: Reply) -> Call:
    """Return what the API saw. It saw nothing forged."""
    assert answer.status == 200, answer
    assert "forged" not in str([answer.body])
    return Call(**json.loads(answer.body))


@behind_each(WAYS)
def test_no_spelling_of_a_name_of_ours_arrives(behind: Behind) -> None:
    for lines in forged_headers(*(f"X-Keyportal-{name}" for name in NAMES)):
        call = call_of(behind.request("/reports/1", behind.reader.secret, *lines))
        assert call.header("x-keyportal-owner") == behind.owner, lines
        assert call.header("x-keyportal-scopes") == "reports:read", lines


@behind_each(WAYS)
def test_what_keyportal_leaves_empty_is_not_filled_by_the_client(behind: Behind) -> None:
    token = OAuthClient(behind.portal).log_in(OWNER)["access_token"]
    for lines in forged_headers("X-Keyportal-Key"):
        call = call_of(behind.request("/reports/1", token, *lines))
        assert call.header("x-keyportal-kind") == "access_token"
        assert not call.header("x-keyportal-key")


@behind_each(OF_HTTP_1)
def test_a_line_that_is_no_header_brings_nothing_in(behind: Behind) -> None:
    for line in BROKEN:
        before = behind.service.request_count
        with wire(behind.port) as opened:
            credential = f"Authorization: Bearer {behind.reader.secret}"
            opened.send(head("GET", "/reports/1", credential, line))
            try:
                answer = opened.reply()
            except ConnectionError:  # no answer at all
                assert behind.service.request_count == before
                continue
        if answer.status != 200:
            # What continues a line makes nonsense of the credential.
            assert answer.status in (400, 401), line
            assert behind.service.request_count == before, line
            continue
        call = Call(**json.loads(answer.body))
        assert call.header("x-keyportal-owner") == behind.owner, line
        assert "forged" not in str({name: value for name, value in call.headers.items() if name != "x-folded"}), line


@behind_each(OF_HTTP_1)
@pytest.mark.parametrize("named", ["X-Keyportal-Owner, X-Keyportal-Scopes", "Authorization", "X-Keyportal-Kind"])
def test_a_client_can_not_have_headers_taken_away(behind: Behind, named: str) -> None:
    """`Connection` names headers that end at the next hop (RFC 9110 §7.6.1)."""
    call = call_of(behind.request("/reports/1", behind.reader.secret, f"Connection: close, {named}", close=False))
    assert call.header("x-keyportal-owner") == behind.owner
    assert call.header("x-keyportal-scopes") == "reports:read"
    assert call.header("x-keyportal-kind") == "api_key"
    assert named not in str(call.headers.get("connection"))


@behind_each(["nginx", "caddy"])  # HAProxy passes trailers on: docs/gateways.md
def test_nothing_comes_in_behind_a_body(behind: Behind) -> None:
    credential = f"Authorization: Bearer {behind.reader.secret}"
    lines = [credential, "Transfer-Encoding: chunked", "Trailer: X-Keyportal-Owner"]
    trailed = chunked(b"hello", end=b"0\r\nX-Keyportal-Owner: forged\r\nAuthorization: forged\r\n\r\n")
    with wire(behind.port) as opened:
        opened.send(head("POST", "/reports/1", *lines) + trailed)
        assert call_of(opened.reply()).body == "hello"


@behind_each(WAYS)
def test_where_a_request_comes_from_is_what_the_gateway_saw(behind: Behind) -> None:
    proxied = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "X-Request-ID")
    for lines in forged_headers(*proxied):
        call = call_of(behind.request("/reports/1", behind.reader.secret, *lines))
        assert call.header("x-forwarded-for") == "127.0.0.1", lines
        assert call.header("x-forwarded-proto") == ("https" if behind.way.tls else "http")
        assert call.header("x-request-id")


@behind_each(name for name in OF_HTTP_1 if WAYS[name].program in ("nginx", "edge"))
@pytest.mark.parametrize(
    ("target", "host", "told"),
    [
        ("/reports/1", "api.test", "api.test"),
        ("/reports/1", "API.test:8443", "api.test:8443"),
        ("/reports/1", "[::1]:8443", "[::1]:8443"),
        ("/reports/1", "api.test:x", "api.test"),
        ("http://api.test:8443/reports/1", "api.test:8443", "api.test:8443"),
        ("http://api.test/reports/1", "other.test:8443", "api.test"),
    ],
)
def test_the_api_learns_by_which_host_and_port_it_was_asked(behind: Behind, target: str, host: str, told: str) -> None:
    with wire(behind.port) as line:
        line.send(head("GET", target, f"Authorization: Bearer {behind.reader.secret}", host=host))
        call = call_of(line.reply())
    assert call.header("x-forwarded-host") == told
    assert behind.way.protocol != "http" or call.header("host") == told


@behind_each([name for name in WAYS if name in ("nginx-uwsgi", "nginx-fastcgi")])
def test_no_client_chooses_the_proxy_of_a_program(behind: Behind) -> None:
    """CGI makes HTTP_PROXY of a header `Proxy`, which libraries read as a setting."""
    assert (
        call_of(behind.request("/reports/1", behind.reader.secret, "Proxy: http://forged.example")).header("proxy")
        is None
    )


@behind_each(WAYS)
@pytest.mark.conformance("FA-07")
def test_a_key_that_is_bound_to_a_network_is_not_let_in_by_a_forged_address(behind: Behind) -> None:
    client = ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    bound = "key = APIKey.objects.get(pk='{}'); key.networks = '203.0.113.0/24'; key.seal = key.make_seal(); key.save()"
    behind.portal.shell(bound.format(client.id))
    for lines in [*forged_headers("X-Forwarded-For", "X-Real-IP", value="203.0.113.9"), ["Forwarded: for=203.0.113.9"]]:
        assert behind.request("/reports/1", client.secret, *lines).status == 403, lines
