"""nginx, Caddy and HAProxy of Debian, with the very files of deploy/, in front of an API that says what it got."""

import json
import socket
from contextlib import ExitStack

import jwt
import pytest

from tests.behind import GATEWAYS, OF_HTTP_1, OWNER, WAYS, Behind, behind_each
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.services.service import Call
from tests.waiting import DEADLINE
from tests.wire import Reply

pytestmark = pytest.mark.once


def call_of(answer: Reply) -> Call:
    """Return the call that reached the API."""
    assert answer.status == 200, answer
    return Call(**json.loads(answer.body))


@behind_each(WAYS)
@pytest.mark.conformance("FA-06")
@pytest.mark.finding("H35")
def test_the_api_behind_learns_who_it_is_and_never_the_credential(behind: Behind) -> None:
    call = call_of(behind.request("/reports/1?x=y", behind.reader.secret, method="POST", body=b"hello"))
    assert call.header("x-keyportal-owner") == behind.owner
    assert call.header("x-keyportal-key") == behind.reader.id
    assert call.header("x-keyportal-scopes") == "reports:read"
    assert call.header("x-keyportal-environment") == "live"
    assert call.header("x-keyportal-kind") == "api_key"
    assert call.header("x-forwarded-for") == "127.0.0.1"
    assert "authorization" not in call.headers
    assert behind.reader.secret not in str(call)
    assert (call.method, call.path) == ("POST", "/reports/1?x=y")
    assert call.body.endswith("hello")


@behind_each(GATEWAYS)
def test_a_signed_token_works_as_well(behind: Behind) -> None:
    token = OAuthClient(behind.portal).client_token(behind.reader)
    assert call_of(behind.request("/reports/1", token)).header("x-keyportal-kind") == "access_token"


@behind_each(WAYS)
def test_the_api_behind_can_check_who_it_is(behind: Behind) -> None:
    """A location whose query names an audience gets an assertion, any other none."""
    assert not call_of(behind.request("/reports/1", behind.writer.secret)).header("x-keyportal-assertion")
    assertion = call_of(behind.request("/reports/admin/1", behind.writer.secret)).header("x-keyportal-assertion") or ""
    (key,) = json_of(behind.portal.get("/.well-known/jwks.json"))["keys"]
    claims = jwt.decode(assertion, jwt.PyJWK(key).key, algorithms=["ES256"], audience="reports-admin")
    assert (claims["sub"], claims["owner"]) == (f"key:{behind.writer.id}", behind.owner)


@behind_each(("nginx", "caddy", "haproxy"))
def test_a_revoked_key_is_refused_at_once(behind: Behind) -> None:
    client = ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    assert {behind.request("/reports/1", client.secret).status for _ in range(6)} == {200}
    behind.portal.revoke_key(client.id)
    assert {behind.request("/reports/1", client.secret).status for _ in range(6)} == {401}


@behind_each(("nginx", "haproxy"))
def test_the_client_learns_when_its_secret_ends(behind: Behind) -> None:
    client = ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read", "--scope", "self:rotate"))
    assert "sunset" not in dict(behind.request("/reports/1", client.secret).headers)
    behind.portal.shell(
        "from audit.origin import Origin; from apikeys.services import rotate; "
        f"key = APIKey.objects.get(pk='{client.id}'); "
        "rotate(key=key, replaces=key.secrets.get().pk, origin=Origin.of_command('test'))"
    )
    answer = behind.request("/reports/1", client.secret)
    assert answer.status == 200
    assert answer.header("deprecation").startswith("@")
    assert answer.header("sunset").endswith(" GMT")


@behind_each(OF_HTTP_1)
def test_an_answer_of_the_api_is_passed_on_as_it_is(behind: Behind) -> None:
    answer = behind.request("/reports/refused-by-the-api", behind.reader.secret)
    assert (answer.status, answer.header("x-why"), answer.body) == (403, "the API's own reason", b"no")


@behind_each(OF_HTTP_1)
def test_nothing_that_a_client_sends_along_makes_keyportal_unavailable(behind: Behind) -> None:
    for line in ("X-Odd: a\x01b", "X-Odd: \xff", "Cookie: " + "x" * 7000, "Content-Type: \xe9", "Expect: nonsense"):
        before = behind.service.request_count
        answer = behind.request("/reports/1", behind.reader.secret, line)
        assert answer.status in (200, 400, 417), line[:20]
        assert behind.service.request_count == before + (answer.status == 200)
        assert behind.request("/reports/1", "", line).status in (400, 401, 417)


@behind_each(GATEWAYS)
@pytest.mark.security("R-21")
def test_clients_that_never_finish_their_request_hold_nobody_up(behind: Behind) -> None:
    with ExitStack() as slow:
        for _ in range(400):
            line = slow.enter_context(socket.create_connection(("127.0.0.1", behind.port), timeout=DEADLINE))
            line.sendall(b"GET /reports/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bear")
        # They are still there, and have said no more, when everybody else has an answer.
        assert {behind.request("/reports/1", behind.reader.secret).status for _ in range(20)} == {200}
