"""Browser apps: a preflight carries no credential, and an app may read only what it is allowed to."""

import json
from typing import Final

import pytest

from tests.behind import GATEWAYS, OF_HTTP_1, OWNER, Behind, Gateways, behind_each
from tests.gateways import BROWSER_APP
from tests.oauth_client import ClientKey
from tests.services.service import ALLOWED, Call
from tests.wire import Reply

pytestmark = [pytest.mark.once, pytest.mark.finding("H19")]

ORIGIN: Final = f"Origin: {BROWSER_APP}"
METHOD: Final = "Access-Control-Request-Method: POST"
TOLD: Final = {"www-authenticate", "retry-after", "ratelimit", "ratelimit-policy", "x-keyportal-code", "x-request-id"}
"""What an app may read of a refusal, where it is there."""
IDENTITY: Final = ("X-Keyportal-Owner: forged", "X_Keyportal_Owner: forged", "X-Keyportal-Key: forged")


@pytest.fixture
def behind(request: pytest.FixtureRequest, gateways: Gateways) -> Behind:
    """A gateway whose file names the browser app."""
    return gateways.behind(request.param, browser_apps=True)


@pytest.fixture
def closed(request: pytest.FixtureRequest, gateways: Gateways) -> Behind:
    """The same gateway with its file as it is."""
    return gateways.behind(request.node.callspec.params["behind"])


def names(answer: Reply, header: str) -> set[str]:
    """Return the list in a header of the answer."""
    return {name.strip().lower() for value in values(answer, header) for name in value.split(",")}


def values(answer: Reply, header: str) -> list[str]:
    return [value for name, value in answer.headers if name == header]


@behind_each(OF_HTTP_1)
def test_a_preflight_is_answered_by_the_api_where_the_app_is_named(behind: Behind) -> None:
    before = behind.service.request_count
    for credential in ("", "kp_live_nonsense", behind.reader.secret):
        answer = behind.request("/reports/1", credential, ORIGIN, METHOD, *IDENTITY, method="OPTIONS")
        assert answer.status == 204
        assert values(answer, "access-control-allow-origin") == [BROWSER_APP]
        assert set(ALLOWED) <= {(name.title(), value) for name, value in answer.headers}
    assert behind.service.request_count == before + 3
    for call in behind.service.calls[before:]:
        assert call.header("x-keyportal-owner") is None
        assert call.header("x-keyportal-key") is None
        assert "authorization" not in call.headers
        assert "forged" not in str(call)


@behind_each(GATEWAYS)
def test_by_default_no_preflight_is_passed_on(closed: Behind, behind: Behind) -> None:
    before = closed.service.request_count
    for origin in (ORIGIN, "Origin:", "Origin: null", "Origin: *", "Origin: always_false"):
        answer = closed.request("/reports/1", "", origin, METHOD, method="OPTIONS")
        assert (answer.status, closed.service.request_count) == (401, before), origin
        assert values(answer, "access-control-allow-origin") == []


@behind_each(OF_HTTP_1)
@pytest.mark.parametrize(
    ("method", "lines"),
    [
        ("OPTIONS", []),
        ("OPTIONS", [ORIGIN]),
        ("OPTIONS", [METHOD]),
        ("OPTIONS", ["Origin: https://elsewhere.example", METHOD]),
        ("OPTIONS", ["Origin: null", METHOD]),
        ("OPTIONS", [f"Origin: https://elsewhere.example, {BROWSER_APP}", METHOD]),
        ("OPTIONS", ["Origin:", METHOD]),
        ("OPTIONS", [f"Origin: {BROWSER_APP}.elsewhere.example", METHOD]),
        ("OPTIONS", [f"Origin: https://elsewhere.example?{BROWSER_APP}", METHOD]),
        ("OPTIONS", [f"X-Origin: {BROWSER_APP}", METHOD]),
        ("GET", [ORIGIN, METHOD]),
        ("POST", [ORIGIN, METHOD]),
        ("POST", [ORIGIN, METHOD, "X-HTTP-Method-Override: OPTIONS"]),
        ("HEAD", [ORIGIN, METHOD]),
        ("options", [ORIGIN, METHOD]),
        ("OPTIONSS", [ORIGIN, METHOD]),
    ],
)
def test_what_is_no_preflight_of_an_app_that_is_named_is_asked_about(
    behind: Behind, method: str, lines: list[str]
) -> None:
    before = behind.service.request_count
    answer = behind.request("/reports/1", "", *lines, method=method)
    assert answer.status in ((400, 401, 405) if method.upper() != method or method == "OPTIONSS" else (401,))
    assert behind.service.request_count == before


@behind_each(GATEWAYS)
def test_no_preflight_gets_to_what_is_not_named(behind: Behind) -> None:
    before = behind.service.request_count
    for path in ("/nothing", "/Reports/1/../../nothing", "/_keyportal", "/"):
        assert behind.request(path, "", ORIGIN, METHOD, method="OPTIONS").status in (400, 404), path
    assert behind.service.request_count == before


@behind_each(OF_HTTP_1)
def test_an_app_may_read_why_it_is_refused(behind: Behind) -> None:
    client = limited(behind)
    answers = {
        401: behind.request("/reports/1", "", ORIGIN),
        403: behind.request("/reports/admin/1", behind.reader.secret, ORIGIN),
        429: [behind.request("/reports/1", client.secret, ORIGIN) for _ in range(2)][-1],
    }
    for status, answer in answers.items():
        assert answer.status == status
        assert values(answer, "access-control-allow-origin") == [BROWSER_APP]
        assert names(answer, "access-control-expose-headers") >= TOLD
        assert "origin" in names(answer, "vary")
        assert answer.header("x-keyportal-code")
        assert len(values(answer, "www-authenticate")) == (status != 429)
        assert answer.header("cache-control") == "no-store"
    assert 1 <= int(answers[429].header("retry-after")) <= 3600
    for origin in ("Origin: https://elsewhere.example", f"X-Origin: {BROWSER_APP}"):
        answer = behind.request("/reports/1", "", origin)
        assert (answer.status, values(answer, "access-control-allow-origin")) == (401, [])
        assert "origin" in names(answer, "vary")


@behind_each(("nginx", "caddy", "haproxy"))
def test_an_app_may_read_that_keyportal_is_away(behind: Behind, gateways: Gateways) -> None:
    with gateways.without_portal():
        answer = behind.request("/reports/1", behind.reader.secret, ORIGIN)
    assert (answer.status, answer.header("retry-after")) == (503, "2")
    assert values(answer, "access-control-allow-origin") == [BROWSER_APP]
    assert "retry-after" in names(answer, "access-control-expose-headers")


@behind_each(OF_HTTP_1)
def test_what_the_api_allows_is_the_api_s(behind: Behind) -> None:
    """Two lines of Access-Control-Allow-Origin would be none."""
    answer = behind.request("/reports/refused-by-the-api", behind.reader.secret, ORIGIN)
    assert (answer.status, values(answer, "access-control-allow-origin")) == (403, [BROWSER_APP])
    good = behind.request("/reports/1", behind.reader.secret, ORIGIN)
    assert Call(**json.loads(good.body)).header("origin") == BROWSER_APP
    assert values(good, "access-control-allow-origin") == []


def limited(behind: Behind) -> ClientKey:
    """Make a key that is good for one call an hour."""
    client = ClientKey(*behind.portal.make_key(OWNER, "--scope", "reports:read"))
    limit = (
        f"set_rate_limit(key=APIKey.objects.get(pk='{client.id}'), limit='1/hour', origin=Origin.of_command('test'))"
    )
    behind.portal.shell(f"from apikeys.services import set_rate_limit; from audit.origin import Origin; {limit}")
    return client
