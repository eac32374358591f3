"""Deny stays deny: whatever the method, path, protocol or fault, a client without rights never reaches the API."""

from pathlib import Path
from typing import Final

import pytest

from tests.behind import ASKING, OF_HTTP_1, OWNER, WAYS, Behind, Gateways, behind_each
from tests.gateways import haproxy
from tests.http2 import http2
from tests.oauth_client import ClientKey
from tests.parallel import all_at_once
from tests.ports import free_port
from tests.services import serving
from tests.wire import Reply, exchange, wire

pytestmark = [pytest.mark.once, pytest.mark.finding("H35")]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PURGE")
OF_NO_ADMIN: Final = (400, 403)
ADMIN: Final = (
    "/reports/admin",
    "/reports/admin/1",
    "/reports/admin/1?x=/reports/1",
    "/reports/../reports/admin/1",
    "/reports/./admin/1",
    "/reports//admin/1",
    "//reports/admin/1",
    "/reports/1/../admin/1",
    "/reports/1/%2e%2e/admin/1",
    "/reports/1/%2E./admin/1",
    "/reports/%2e/admin/1",
    "/reports/%61dmin/1",
    "/reports/%61%64%6d%69%6e/1",
    "/reports%2fadmin/1",
    "/reports/%2fadmin/1",
    "/reports/ADMIN/1",
    "/reports/Admin",
)
"""Ways to write what only a writer may see."""
NOTHING: Final = (
    "/",
    "/nothing",
    "/reportsx",
    "/reportsx/1",
    "/_keyportal",
    "/_keyportal/1",
    "/nothing/%2e%2e/_keyportal",
    "/%5fkeyportal",
    "/reports/../_keyportal",
    "/reports/../nothing",
    "/reports/%2e%2e/nothing",
    "/reports/..",
    "/gateway/auth",
)
"""What there is not, for any client."""
ODD: Final = (
    "/reports/\\..\\admin\\1",
    "/reports/%5c..%5cadmin",
    "/reports/1%00/../admin",
    "/reports/%2561dmin",
    "/reports/%",
    "http://elsewhere.example/reports/admin/1",
    "*",
    "reports/admin/1",
)


@behind_each(WAYS)
@pytest.mark.conformance("FA-02")
@pytest.mark.parametrize("method", METHODS)
def test_no_method_gets_in_without_a_credential(behind: Behind, method: str) -> None:
    before = behind.service.request_count
    for credential, path, status in (
        ("", "/reports/1", 401),
        ("kp_live_nonsense", "/reports/1", 401),
        (behind.reader.secret, "/reports/admin/1", 403),
    ):
        answer = behind.request(path, credential, method=method)
        refused_by_nginx = method == "TRACE" and behind.way.program in ("nginx", "edge")
        assert answer.status == (405 if refused_by_nginx else status)
        if not refused_by_nginx:
            assert 'Bearer realm="keyportal"' in answer.header("www-authenticate")
            assert sum(name == "www-authenticate" for name, _ in answer.headers) == 1
    assert behind.service.request_count == before


@behind_each(OF_HTTP_1)
@pytest.mark.conformance("FA-02")
def test_no_way_of_writing_a_path_is_a_way_round(behind: Behind) -> None:
    before = behind.service.request_count
    for path in ADMIN:
        assert behind.request(path, behind.reader.secret).status in OF_NO_ADMIN, path
    for path in NOTHING:
        assert behind.request(path, behind.writer.secret).status in (301, 400, 404), path
    for path in ("/reports", "/reports/1", "//reports/1", "/Reports/1", "/nothing/../reports/1", "/reports/%31"):
        assert behind.request(path).status in (301, 400, 401, 404), path
    assert behind.service.request_count == before
    assert behind.request("/reports/admin/1", behind.writer.secret).status == 200
    for path in ("/reports/1", "/reports/%31", "/reports/100%25", "/reports/a%2fb?../x", "/reports/1..2/.a"):
        assert behind.request(path, behind.reader.secret).status == 200, path


@behind_each(OF_HTTP_1)
def test_what_is_no_path_is_never_admin(behind: Behind) -> None:
    """As a server may read it that takes a backslash for a slash, or reads what is escaped twice."""
    before = behind.service.request_count
    for path in ODD:
        behind.request(path, behind.reader.secret)
        assert not [call.path for call in behind.service.calls[before:] if "admin" in call.path.lower()], path


@behind_each(OF_HTTP_1)
def test_an_http_1_0_client_needs_a_credential_too(behind: Behind) -> None:
    before = behind.service.request_count
    for lines in ("Host: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nConnection: keep-alive\r\n"):
        assert exchange(behind.port, f"GET /reports/1 HTTP/1.0\r\n{lines}\r\n".encode()).status == 401
    for old in (b"GET /reports/1 HTTP/1.0\r\n\r\n", b"GET /reports/1\r\n\r\n"):
        with wire(behind.port) as line:
            line.send(old).half_close().is_closed()
    assert behind.service.request_count == before
    good = f"GET /reports/1 HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {behind.reader.secret}\r\n\r\n"
    assert exchange(behind.port, good.encode()).status == 200


@behind_each(["haproxy"])
def test_an_http_2_client_needs_a_credential_too(behind: Behind) -> None:
    before = behind.service.request_count
    with http2(behind.port, tls=False) as line:
        for path, credential, status in (
            ("/reports/1", "nonsense", 401),
            ("/reports/admin/1", behind.reader.secret, 403),
            ("/reports/%61dmin/1", behind.reader.secret, 403),
            ("/nothing", behind.writer.secret, 404),
        ):
            headers = [("authorization", f"Bearer {credential}")]
            assert line.finish(line.open("GET", path, headers)).status == status
    assert behind.service.request_count == before


@behind_each(WAYS)
@pytest.mark.conformance("PD-06")
def test_too_many_calls_are_429_with_the_time_to_wait(behind: Behind) -> None:
    client = ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    limit = (
        f"set_rate_limit(key=APIKey.objects.get(pk='{client.id}'), limit='2/hour', origin=Origin.of_command('test'))"
    )
    behind.portal.shell(f"from apikeys.services import set_rate_limit; from audit.origin import Origin; {limit}")
    before = behind.service.request_count
    answers = [behind.request("/reports/1", client.secret) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert behind.service.request_count == before + 2
    for answer in answers[2:]:
        assert 1 <= int(answer.header("retry-after")) <= 3600
        if behind.way.program != "edge":  # /api/v1/verify does not tell it
            assert answer.header("ratelimit").startswith('"key";r=0;t=')
        assert answer.header("x-keyportal-code") == "rate_limited"
    assert behind.request("/reports/admin/1", client.secret).status == 403  # lacks a scope, whatever its limit


@pytest.mark.nginx
@pytest.mark.caddy
@pytest.mark.haproxy
@pytest.mark.conformance("FA-04")
@pytest.mark.parametrize("is_silent", [False, True], ids=["gone", "silent"])
def test_without_keyportal_nobody_gets_in_and_no_credential_is_called_bad(gateways: Gateways, is_silent: bool) -> None:
    every = [gateways.behind(name) for name in ASKING]
    before = [behind.service.request_count for behind in every]

    def request(number: int) -> Reply:
        return every[number].request("/reports/1", every[number].writer.secret)

    with gateways.with_silent_portal() if is_silent else gateways.without_portal():
        answers = all_at_once(len(every), request)
    assert {(answer.status, answer.header("retry-after")) for answer in answers} == {(503, "2")}
    assert [behind.service.request_count for behind in every] == before
    assert {request(number).status for number in range(len(every))} == {200}


@pytest.mark.haproxy
@pytest.mark.parametrize("got", ["error('broken')", "return nil", "return {}", "return {status = 'OK'}"])
def test_a_script_that_breaks_lets_nobody_in(gateways: Gateways, tmp_path: Path, got: str) -> None:
    """HAProxy goes on behind an action that fails."""
    client = f"{{ httpclient = function() return {{ get = function() {got} end }} end }}"
    lua = f"local core = setmetatable({client}, {{ __index = core }}) "
    known, port = gateways.behind("haproxy"), free_port()
    with serving() as (api, service), haproxy(tmp_path, port, [known.portal.port], api, lua=lua):
        broken = known._replace(port=port)
        assert {broken.request("/reports/1", known.writer.secret).status for _ in range(3)} == {503}
        assert service.request_count == 0
