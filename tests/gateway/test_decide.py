"""Forward-auth and verify without a server between: the verdict, and what happens when something breaks."""

import json
import logging
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from audit.client_address import parse_address
from credentials.runtime.errors import WouldBlockError
from credentials.scopes.models import Scope
from credentials.verified_cache.freshness import freshness, get_cached
from gateway import forward_auth, verify
from gateway.forward_auth import PATH, ForwardAuthRequest, decide, is_forward_auth
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db


def question(
    credential: str | None, query: str = "", path: str = PATH, address: str = "192.0.2.7"
) -> ForwardAuthRequest:
    authorization = None if credential is None else f"Bearer {credential}"
    return ForwardAuthRequest(authorization, query, path, parse_address(address))


def test_the_identity_is_the_credential_s(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["reports:read"], networks=["192.0.2.0/24"])
    status, headers = decide(question(secret, "scope=reports:read&environment=live"))
    assert status == 200
    assert dict(headers)["X-Keyportal-Key"] == key.pk
    assert dict(headers)["X-Keyportal-Scopes"] == "reports:read"
    assert decide(question(secret, address="198.51.100.1"))[0] == 403
    for query in ("scope=reports:write", "environment=test"):
        assert decide(question(secret, query))[0] == 403
    assert decide(question(secret, "whatever=a+client&sends=it", path=f"{PATH}/a/path"))[0] == 200


@pytest.mark.finding("H40")
@pytest.mark.parametrize(
    "query",
    [
        "environment=",
        "environment=prod",
        "environment=live&environment=test",
        "environment=live&environment=live",
        "scopes=reports:read",
        "Scope=reports:read",
        "scope=",
        "scope=reports:read++",
        "deny=401",
        "audience=",
        "audience=a&audience=b",
        "deny=403&deny=403",
        "=",
        "%00",
        "kp_live_secret",
    ],
)
def test_a_mistake_in_the_gateways_query_is_called_one(
    make_key: MakeKey, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    _, secret = make_key()
    for credential in (secret, "x", None):
        status, headers = decide(question(credential, query))
        assert (status, dict(headers)) == (400, {"X-Keyportal-Code": "misconfigured"})
    assert "kp_live" not in caplog.text


@pytest.mark.finding("H39")
def test_no_client_chooses_whom_its_token_may_be_for(make_key: MakeKey) -> None:
    """Envoy appends the client's own path and query to the prefix."""
    _, secret = make_key()
    for path in (f"{PATH}/reports", f"{PATH}/"):
        status, headers = decide(question(secret, "audience=https://other.test", path=path))
        assert (status, dict(headers)["X-Keyportal-Code"]) == (400, "misconfigured")


@pytest.mark.finding("H4")
def test_a_slash_at_the_end_forgives_no_mistake(make_key: MakeKey) -> None:
    _, secret = make_key()
    for query in ("scopes=reports:write", "Scope=reports:write", "enviroment=live", "environments=live", "audiences=a"):
        assert decide(question(secret, query, path=f"{PATH}/"))[0] == 400, query
    assert decide(question(secret, "page=2&q=x", path=f"{PATH}/"))[0] == 200  # of a client, through Envoy


def test_strangers_fill_neither_memory_nor_log(caplog: pytest.LogCaptureFixture) -> None:
    forward_auth._log.due = 0.0
    before = forward_auth._parse_query.cache_info().currsize
    for number in range(20):
        decide(question("x", f"nonsense{number}=" + "x" * 2000))
    assert forward_auth._parse_query.cache_info().currsize == before
    assert caplog.text.count("misconfigured") == 1


def test_a_path_of_the_client_s_fills_no_memory() -> None:
    """Envoy appends it to its own."""
    forward_auth._parse_query.cache_clear()
    for number in range(20):
        decide(question("x", "scope=a", path=f"{PATH}/{number}" + "x" * 2000))
    assert forward_auth._parse_query.cache_info().currsize == 1


@pytest.mark.parametrize(("header", "query"), [("Bearer a b", ""), ("Bearer x", "nonsense=1"), (None, "")])
def test_where_memory_is_not_trusted_nothing_is_said_from_it(
    monkeypatch: pytest.MonkeyPatch, header: str | None, query: str
) -> None:
    monkeypatch.setattr(freshness(), "is_known_current", lambda: False)
    with pytest.raises(WouldBlockError):
        forward_auth.decide_at_once(ForwardAuthRequest(header, query, PATH, None))
    service = verify.VerifyCall(header, "", b"{}", None)
    with pytest.raises(WouldBlockError):
        service.respond(get_cached)


def test_a_bad_credential_is_401_and_tells_how_to_send_a_good_one() -> None:
    for credential in (None, "x", "kp_live_x", "a.b.c", "two words"):
        status, headers = decide(question(credential))
        assert (status, "Bearer realm=" in dict(headers)["WWW-Authenticate"]) == (401, True)


@pytest.mark.conformance("FA-04")
@pytest.mark.parametrize("error", [OperationalError("gone"), RuntimeError("broken")])
def test_what_breaks_is_503_and_never_good(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("gateway.forward_auth.verify_any", fail)
    monkeypatch.setattr(connection, "close", lambda: None)
    with caplog.at_level(logging.ERROR):
        status, headers = decide(question("x"))
    assert (status, dict(headers)["Retry-After"]) == (503, "2")
    assert caplog.records


def test_the_path_and_what_is_below_it_is_asked_and_nothing_else() -> None:
    assert [is_forward_auth(path) for path in (PATH, f"{PATH}/", f"{PATH}/x")] == [True] * 3
    assert [is_forward_auth(path) for path in (f"{PATH}x", "/gateway", "/gateway/", "/", "")] == [False] * 5


def test_verify_gives_the_verdict(client: Client, make_key: MakeKey, scopes: list[Scope]) -> None:
    _, service = make_key(scopes=["credentials:verify"], restricted=True)
    key, secret = make_key(scopes=["reports:read"])

    def verify_body(**body: object) -> dict[str, Any]:
        answer = client.post(
            "/api/v1/verify",
            json.dumps(body),
            "application/json",
            secure=True,
            headers={"Authorization": f"Bearer {service}"},
        )
        verdict: dict[str, Any] = json.loads(answer.content)
        return {"status": answer.status_code, **verdict}

    good = verify_body(credential=secret, scopes=["reports:read"])
    assert (good["valid"], good["credential"]["id"]) == (True, key.pk)
    assert verify_body(credential=secret, scopes=["reports:write"])["code"] == "insufficient_scope"
    assert verify_body(credential="x")["code"] == "invalid_token"
    assert verify_body()["status"] == 400
