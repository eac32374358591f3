"""nginx and Caddy from Debian's packages, with the very files of deploy/, in front of an API that says what it got."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.databases import portal_database
from tests.gateways import Echo, caddy, echoing_api, nginx
from tests.portal import Answer, Portal, free_port
from tests.speaker import Client, Speaker
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once
OWNER = "behind@example.com"
FORGED = {
    "X-Keyportal-Owner": "admin",
    "X-Keyportal-Scopes": "everything",
    "X_Keyportal_Owner": "admin",
    "X-Keyportal_Owner": "admin",
    "X_Keyportal-Scopes": "everything",
    "X_Forwarded_For": "203.0.113.99",
    "X_KEYPORTAL_KEY": "admin",
    "X-Forwarded-Uri": "/nothing",
    "X-Forwarded-User": "admin",
}


class Behind(NamedTuple):
    """A gateway, the portal that it asks, and who may come in."""

    port: int
    portal: Portal
    reader: Client
    writer: Client
    owner: str

    def ask(self, path: str, credential: str | None = None, method: str = "GET", body: bytes | None = None) -> Answer:
        headers = {**FORGED, **({"Authorization": f"Bearer {credential}"} if credential else {})}
        other = Portal(self.portal.folder, "")
        other.port = self.port
        return other.request(method, path, headers=headers, body=body)


def got(answer: Answer) -> dict[str, list[str]]:
    """Give what the API behind got, by header, both spellings as one."""
    assert answer.status == 200
    headers: dict[str, list[str]] = {}
    for name, value in json.loads(answer.body)["headers"]:
        headers.setdefault(name.lower().replace("_", "-"), []).append(value)
    return headers


Gateway = Callable[[Path, int, Sequence[int], int], Any]


@pytest.fixture(scope="module")
def api() -> Iterator[int]:
    with echoing_api() as port:
        yield port


@pytest.fixture(
    scope="module",
    params=[pytest.param(nginx, marks=pytest.mark.nginx), pytest.param(caddy, marks=pytest.mark.caddy)],
    ids=["nginx", "caddy"],
)
def behind(request: pytest.FixtureRequest, api: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A gateway in front of the API, and a portal of its own that it asks."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    gateway: Gateway = request.param
    with (
        portal_database(folder) as database_url,
        Portal(folder, database_url, KEYPORTAL_TRUSTED_PROXIES="127.0.0.1/32").running(workers=1) as portal,
    ):
        owner = portal.make_developer(OWNER)
        for name in ("reports:read", "reports:write"):
            portal.shell(f"Scope.objects.create(name='{name}', description='x')")
        reader = Client(*portal.make_key(OWNER, "--scope", "reports:read"))
        writer = Client(*portal.make_key(OWNER, "--scope", "reports:read", "--scope", "reports:write"))
        port = free_port()
        with gateway(folder, port, [portal.port], api):
            yield Behind(port, portal, reader, writer, owner)


@pytest.mark.conformance("FA-06")
def test_the_api_behind_learns_who_it_is_and_never_the_credential(behind: Behind) -> None:
    headers = got(behind.ask("/reports/1?x=y", behind.reader.secret, "POST", b"hello"))
    assert headers["x-keyportal-owner"] == [behind.owner]
    assert headers["x-keyportal-key"] == [behind.reader.id]
    assert headers["x-keyportal-scopes"] == ["reports:read"]
    assert headers["x-keyportal-environment"] == ["live"]
    assert headers["x-keyportal-kind"] == ["api_key"]
    assert "authorization" not in headers
    assert behind.reader.secret not in str(headers)
    assert json.loads(behind.ask("/reports/1", behind.reader.secret, "POST", b"hello").body)["body"] == "hello"


@pytest.mark.conformance("FA-06")
@pytest.mark.parametrize("named", ["X-Keyportal-Owner, X-Keyportal-Scopes", "Authorization", "X-Keyportal-Kind"])
def test_a_client_can_not_have_headers_taken_away(behind: Behind, named: str) -> None:
    """`Connection` names headers that end at the next hop (RFC 9110 §7.6.1)."""
    request = (
        f"GET /reports/1 HTTP/1.1\r\nHost: 127.0.0.1:{behind.port}\r\nAuthorization: Bearer {behind.reader.secret}\r\n"
    )
    front = Portal(behind.portal.folder, "")
    front.port = behind.port
    raw = front.send_raw(f"{request}Connection: close, {named}\r\n\r\n".encode())
    head, _, body = raw.partition(b"\r\n\r\n")
    answer = Answer(int(head.split()[1]), {}, body[body.index(b"{") : body.rindex(b"}") + 1])
    headers = got(answer)
    assert headers["x-keyportal-owner"] == [behind.owner]
    assert headers["x-keyportal-scopes"] == ["reports:read"]
    assert headers["x-keyportal-kind"] == ["api_key"]


@pytest.mark.conformance("FA-07")
def test_a_key_that_is_bound_to_a_network_is_not_let_in_by_a_forged_address(behind: Behind) -> None:
    client = Client(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    bound = (
        "key = APIKey.objects.get(pk='{}'); key.networks = '203.0.113.99/32'; key.seal = key.make_seal(); key.save()"
    )
    behind.portal.shell(bound.format(client.id))
    assert behind.ask("/reports/1", client.secret).status == 403


def test_a_signed_token_works_as_well(behind: Behind) -> None:
    token = Speaker(behind.portal).client_token(behind.reader)
    assert got(behind.ask("/reports/1", token))["x-keyportal-kind"] == ["access_token"]


@pytest.mark.conformance("FA-02")
def test_who_may_not_is_refused_before_the_api(behind: Behind) -> None:
    before = Echo.reached
    nobody = behind.ask("/reports/1")
    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="keyportal"')
    assert behind.ask("/reports/1", "kp_live_nonsense").status == 401
    assert behind.ask("/reports/admin/1", behind.reader.secret).status == 403
    assert behind.ask("/nothing", behind.writer.secret).status == 404
    assert behind.ask("/_keyportal", behind.writer.secret).status == 404
    assert behind.ask("/reports/admin", behind.reader.secret).status == 403
    for path in ("/reports/../reports/admin/1", "/reports/%61dmin/1", "/reports//admin/1", "/reports/./admin/1"):
        assert behind.ask(path, behind.reader.secret).status in (400, 403), path
    assert Echo.reached == before
    assert behind.ask("/reports/admin/1", behind.writer.secret).status == 200


@pytest.mark.conformance("PD-06")
def test_too_many_calls_are_429_with_the_time_to_wait(behind: Behind) -> None:
    client = Client(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    limit = f"limit_key(key=APIKey.objects.get(pk='{client.id}'), limit='3/hour', origin=Origin.of_command('test'))"
    behind.portal.shell(f"from apikeys.services import limit_key; from accounts.origin import Origin; {limit}")
    before = Echo.reached
    # Each of the portal's two workers counts for itself here.
    answers = [behind.ask("/reports/1", client.secret) for _ in range(12)]
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {429}
    assert 3 <= Echo.reached - before == len(answers) - len(refused) <= 6
    assert all(1 <= int(answer.headers["retry-after"]) <= 3600 for answer in refused)
    assert all(answer.headers["ratelimit"].startswith('"key";r=0;t=') for answer in refused)
    assert behind.ask("/reports/admin/1", client.secret).status == 403  # lacks a scope, whatever its limit


def test_a_revoked_key_is_refused_at_once(behind: Behind) -> None:
    client = Client(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    assert {behind.ask("/reports/1", client.secret).status for _ in range(6)} == {200}
    behind.portal.revoke_key(client.id)
    assert {behind.ask("/reports/1", client.secret).status for _ in range(6)} == {401}


@pytest.mark.conformance("FA-04")
def test_without_keyportal_nobody_gets_in_and_no_credential_is_called_bad(behind: Behind) -> None:
    before = Echo.reached
    behind.portal.stop()
    try:
        for _ in range(3):
            answer = behind.ask("/reports/1", behind.writer.secret)
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert Echo.reached == before
    finally:
        behind.portal.start()
    assert behind.ask("/reports/1", behind.writer.secret).status == 200


@pytest.mark.security("R-21")
def test_clients_that_never_finish_their_request_hold_nobody_up(behind: Behind) -> None:
    with ExitStack() as slow:
        for _ in range(400):
            line = slow.enter_context(socket.create_connection(("127.0.0.1", behind.port), timeout=DEADLINE))
            line.sendall(b"GET /reports/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bear")
        # They are still there, and have said no more, when everybody else has an answer.
        assert {behind.ask("/reports/1", behind.reader.secret).status for _ in range(20)} == {200}
