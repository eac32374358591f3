"""What nginx with the module lets in and what it refuses, in front of a real portal."""

import json
from collections.abc import Callable
from typing import Any, Final

import jwt
import pytest

from credentials.bearer import token_of
from credentials.refusals import RefusedError
from tests.behind import OWNER, Behind, Gateways
from tests.http2 import http2
from tests.oauth_client import ClientKey
from tests.ports import free_port
from tests.services.service import Call
from tests.spellings import forged_headers
from tests.waiting import wait_until
from tests.wire import Reply, head, wire
from vault.secret_format import new_secret

pytestmark = [pytest.mark.once, pytest.mark.edge]

SERVICE: Final = "https://reports.test"
H2_PORT: Final = free_port()
LOCATIONS: Final = """
    underscores_in_headers on;
    ignore_invalid_headers off;
    large_client_header_buffers 4 16k;
    location /any/ {
        access_by_lua_block { require("keyportal").protect() }
        include keyportal-location.conf;
        proxy_pass http://api;
    }
    location /signed/ {
        access_by_lua_block { require("keyportal").protect { assertion = "https://reports.test" } }
        include keyportal-location.conf;
        proxy_pass http://api;
    }
    location /elsewhere/ {
        access_by_lua_block { require("keyportal").protect { audience = "https://else.test", realm = "elsewhere" } }
        include keyportal-location.conf;
        proxy_pass http://api;
    }
    location /inward/ {
        access_by_lua_block { require("keyportal").protect { keep_credential = true } }
        try_files /none /any/inner;
    }
    location /lost/ {
        access_by_lua_block { require("keyportal").protect() }
        try_files /none /any/inner;
    }
    location /typo/ { access_by_lua_block { require("keyportal").protect { scopes = "reports:read" } } }
    location /empty/ { access_by_lua_block { require("keyportal").protect { scope = "" } } }
    location /blank/ { access_by_lua_block { require("keyportal").protect { scope = { "reports:read x" } } } }
    location /staging/ { access_by_lua_block { require("keyportal").protect { environment = "staging" } } }
"""
HEADERS: Final = (
    "Bearer kp_live_x",
    "bearer  kp_live_x",
    "BEARER kp_live_x   ",
    "Bearer",
    "Bearer ",
    "Bearerkp_live_x",
    "Bearer\tkp_live_x",
    "Bearer kp_live_x y",
    "Bearer kp_live_x,",
    'Bearer "kp_live_x"',
    "Bearer k\xe4y",
    "Bearer a=b",
    "Bearer a==",
    "Bearer =",
    "Basic eDp5",
    "Basic",
    "Basic eDp5, Bearer kp_live_x",
    "Basic eDp5,bearer",
    "Basic eDp5, bearers",
    "Digest username=x, realm=y",
    "x-own kp_live_x",
    "x_own kp_live_x",
    "-- x",
    "- x",
    "",
    " ",
    "kp_live_x",
    "B\xe4sic x",
    f"Bearer {'x' * 8185}",
    f"Bearer {'x' * 8186}",
)


@pytest.fixture(scope="module")
def behind(gateways: Gateways) -> Behind:
    """The module with its files as they are."""
    return gateways.behind("edge")


@pytest.fixture(scope="module")
def special(gateways: Gateways) -> Behind:
    """The same with more locations, where nginx drops no header by its name."""
    h2 = f"server {{ listen 127.0.0.1:{H2_PORT} http2; {LOCATIONS} }}"
    return gateways.behind("edge", more="has_odd_headers = true,", locations=LOCATIONS, beside=h2)


def make_client(behind: Behind, *more: str) -> ClientKey:
    return ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read", *more))


def awaited(behind: Behind, client: ClientKey, is_so: Callable[[Reply], object]) -> Reply:
    """Send requests with a key until this is so of an answer, and return that."""

    def answer() -> Reply | None:
        found = behind.request("/reports/1", client.secret)
        return found if is_so(found) else None

    found = wait_until(answer)
    assert found
    return found


def refused(behind: Behind, client: ClientKey) -> Reply:
    """Wait until a key is refused, and return that answer."""
    return awaited(behind, client, lambda answer: answer.status != 200)


def problem_of(behind: Behind, *lines: str) -> tuple[int, str, dict[str, Any]]:
    """Return how the portal's own API refuses a request."""
    with wire(behind.portal.port) as line:
        answer = line.send(head("GET", "/api/v1/me", *lines, host="portal.test")).reply()
    return answer.status, answer.header("www-authenticate"), answer.json


def test_a_refusal_is_word_for_word_the_portal_s(behind: Behind) -> None:
    gone, waiting = make_client(behind), make_client(behind)
    for client in (gone, waiting):
        assert behind.request("/reports/1", client.secret).status == 200
    behind.portal.revoke_key(gone.id, "lost")
    behind.portal.manage("pausekey", waiting.id, "--reason", "looking")
    for client in (gone, waiting):
        judged = refused(behind, client)
        said = problem_of(behind, f"Authorization: Bearer {client.secret}")
        assert (judged.status, judged.header("www-authenticate"), judged.json) == said
    for line in ("X-No: credential", "Authorization: Bearer kp_live_x", "Authorization: Bearer a b"):
        answer = behind.request("/reports/1", "", line)
        assert (answer.status, answer.header("www-authenticate"), answer.json) == problem_of(behind, line)
        assert answer.header("content-type") == "application/problem+json"
        assert answer.header("cache-control") == "no-store"
    assert behind.request("/reports/admin/1", behind.reader.secret).json["code"] == "insufficient_scope"


def test_a_paused_key_is_good_again_when_it_is_resumed(behind: Behind) -> None:
    client = make_client(behind)
    assert behind.request("/reports/1", client.secret).status == 200
    behind.portal.manage("pausekey", client.id, "--reason", "looking")
    assert refused(behind, client).json["code"] == "paused"
    behind.portal.manage("resumekey", client.id)
    wait_until(lambda: behind.request("/reports/1", client.secret).status == 200)


@pytest.mark.parametrize("header", HEADERS)
def test_the_header_is_read_as_strictly_as_the_portal_reads_it(special: Behind, header: str) -> None:
    answer = special.request("/any/1", "", f"Authorization: {header}")
    try:
        code = "missing_credential" if token_of(header.strip()) is None else "invalid_token"
    except RefusedError as error:
        code = error.refusal.code
    assert answer.status in (400, 401)
    assert answer.header("x-keyportal-code") == code


def test_two_headers_are_one_too_many(behind: Behind) -> None:
    again = f"authorization: Bearer {behind.reader.secret}"
    assert behind.request("/reports/1", behind.reader.secret, again).status == 400


def test_what_follows_a_refused_request_is_not_read_as_another(behind: Behind) -> None:
    smuggled = head("GET", "/reports/smuggled", f"Authorization: Bearer {behind.reader.secret}", close=False)
    before = behind.service.request_count
    with wire(behind.port) as line:
        line.send(head("POST", "/reports/1", f"Content-Length: {len(smuggled)}", close=False) + smuggled)
        assert line.reply().status == 401
        line.send(head("GET", "/reports/next", f"Authorization: Bearer {behind.reader.secret}"))
        assert line.reply().status == 200
    assert [call.path for call in behind.service.calls[before:]] == ["/reports/next"]


def test_a_key_is_good_in_its_networks_alone(behind: Behind) -> None:
    client = make_client(behind)
    bound = "key = APIKey.objects.get(pk='{}'); key.networks = '127.0.0.2/31'; key.seal = key.make_seal(); key.save()"
    behind.portal.shell(bound.format(client.id))
    request = head("GET", "/reports/1", f"Authorization: Bearer {client.secret}")
    for _ in range(2):  # as the portal says, then by the record
        for source, status in (("127.0.0.2", 200), ("127.0.0.3", 200), ("127.0.0.4", 403), ("127.0.0.1", 403)):
            with wire(behind.port, source=source) as line:
                answer = line.send(request).reply()
            assert answer.status == status, source
            assert status == 200 or answer.json["address"] == source


def test_the_client_learns_that_its_secret_was_replaced(behind: Behind) -> None:
    client = make_client(behind, "--scope", "self:rotate")
    assert "sunset" not in dict(behind.request("/reports/1", client.secret).headers)
    behind.portal.manage("rotatekey", client.id)
    answer = awaited(behind, client, lambda answer: answer.header("sunset"))
    assert answer.status == 200
    assert answer.header("deprecation").startswith("@")
    assert answer.header("sunset").endswith(" GMT")


def test_a_token_is_good_where_it_is_for(special: Behind) -> None:
    issued = special.portal.request(
        "POST",
        "/oauth/token",
        headers={"Host": "portal.test"},
        body=f"grant_type=client_credentials&client_id={special.reader.id}&client_secret={special.reader.secret}".encode(),
    )
    token = json.loads(issued.body)["access_token"]
    for _ in range(2):
        answer = special.request("/any/1", token)
        assert Call(**json.loads(answer.body)).header("x-keyportal-kind") == "access_token"
        elsewhere = special.request("/elsewhere/1", token)
        assert (elsewhere.status, elsewhere.json["code"]) == (401, "invalid_token")
        assert elsewhere.header("www-authenticate").startswith('Bearer realm="elsewhere", ')
        assert special.request("/elsewhere/1", special.reader.secret).status == 200


def test_a_signed_identity_is_passed_on_and_used_again(special: Behind) -> None:
    answers = [special.request("/signed/1", special.reader.secret) for _ in range(4)]
    assertions = [Call(**json.loads(answer.body)).header("x-keyportal-assertion") or "" for answer in answers]
    claims = jwt.decode(assertions[0], options={"verify_signature": False}, audience=SERVICE)
    assert (claims["sub"], claims["aud"]) == (f"key:{special.reader.id}", SERVICE)
    assert len(set(assertions)) == 1


def test_no_spelling_of_a_name_of_ours_arrives_even_if_nginx_lets_all_in(special: Behind) -> None:
    names = ("Key", "Owner", "Scopes", "Environment", "Kind", "Assertion", "Else")
    for lines in forged_headers(*(f"X-Keyportal-{name}" for name in names)):
        answer = special.request("/any/1", special.reader.secret, *lines)
        if answer.status == 200:  # else nginx itself takes no offence at the name but at what it is made of
            assert b"forged" not in answer.body, lines
        else:
            assert answer.status == 400, lines


def test_a_redirect_inside_nginx_is_judged_again(special: Behind) -> None:
    call = Call(**json.loads(special.request("/inward/1", special.reader.secret).body))
    assert (call.path, call.header("x-keyportal-key")) == ("/any/inner", special.reader.id)
    assert "authorization" not in call.headers
    assert special.request("/lost/1", special.reader.secret).status == 401


def test_over_http_2_keyportal_is_asked_as_well(special: Behind) -> None:
    client = make_client(special)
    with http2(H2_PORT, tls=False) as line:
        for credential, status in ((client.secret, 200), (client.secret, 200), (new_secret("kp", "live"), 401)):
            headers = [("authorization", f"Bearer {credential}")]
            assert line.finish(line.open("GET", "/any/1", headers)).status == status


@pytest.mark.parametrize("path", ["/typo/", "/empty/", "/blank/", "/staging/"])
def test_an_option_with_a_mistake_lets_nobody_in(special: Behind, path: str) -> None:
    assert special.request(path, special.writer.secret).status == 500
