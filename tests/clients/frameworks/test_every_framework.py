"""What every framework's module lets in, and what it answers to everything else: one thing, whatever the framework."""

import json
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from keyportal_client import Refusal
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.conftest import Serve
from tests.clients.frameworks.services import PEER, SCOPE, Seen

pytestmark = pytest.mark.once
OVER: Final = "2020-01-01T00:00:00Z"
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "expired": {"expires_at": OVER},
    "retired": {"replaced_at": OVER, "retires_at": OVER},
    "revoked": {"revoked_at": OVER},
    "paused": {"paused_at": OVER},
    "owner_inactive": {"owner_state": "inactive"},
    "account_unconfirmed": {"owner_state": "unconfirmed"},
    "network_refused": {"networks": ["198.51.100.0/24"]},
    "wrong_environment": {"environment": "test"},
    "insufficient_scope": {"scopes": ["reports:write"]},
}


def is_refused(seen: Seen, code: str, portal: InMemoryPortal, **about: Any) -> bool:
    """Return whether it is what the portal itself would answer, but for what it tells about the credential."""
    refusal = Refusal(code, (SCOPE,) if code == "insufficient_scope" else ())
    wanted = refusal.problem(portal.url)
    assert seen.status == refusal.status
    assert {name: seen.body[name] for name in wanted} == wanted
    assert seen.headers["Content-Type"] == "application/problem+json"
    assert seen.headers["Cache-Control"] == "no-store"
    assert seen.headers.get("WWW-Authenticate", "") == refusal.challenge()
    return True


def test_a_good_credential_is_let_in(serve_any: Serve, keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    service, key = serve_any(), api_key([SCOPE])
    for _ in range(2):  # asked of the portal, and from memory
        seen = service(("Authorization", key.header))
        assert (seen.status, seen.body["owner"][:4], seen.body["user"]) == (200, "usr_", None)
        assert "X-Keyportal-Expires" not in seen.headers
    assert keyportal.usage == {key.id: {"accepted": 2}}


@pytest.mark.parametrize("code", CHANGES)
def test_a_credential_that_is_not_good_here_is_told_why(
    serve: Serve, keyportal: InMemoryPortal, api_key: MakeKey, code: str
) -> None:
    service, key = serve(), api_key([SCOPE])
    keyportal.state.change(key.secret, **CHANGES[code])
    seen = service(("Authorization", key.header))
    assert is_refused(seen, code, keyportal)
    assert seen.body["key"] == key.id
    assert key.secret not in f"{seen.body}{dict(seen.headers)}"


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("missing_credential", []),
        ("missing_credential", ["Basic dXNlcjpwYXNz"]),
        ("invalid_token", ["Bearer kp_live_notOne"]),
        ("malformed_request", ["Bearer one two"]),
        ("malformed_request", ["Bearer {key}", "Bearer {key}"]),
        ("malformed_request", ["Basic dXNlcjpwYXNz", "Bearer {key}"]),
    ],
)
def test_what_is_no_credential_is_refused(
    serve_any: Serve, keyportal: InMemoryPortal, api_key: MakeKey, code: str, headers: list[str]
) -> None:
    key = api_key([SCOPE])
    sent = [("Authorization", header.format(key=key.secret)) for header in headers]
    assert is_refused(serve_any()(*sent), code, keyportal)


@pytest.mark.parametrize("how", ["away", "slow"])
def test_a_portal_that_can_not_say_makes_no_verdict(
    serve_any: Serve, keyportal: InMemoryPortal, api_key: MakeKey, how: str
) -> None:
    service, key = serve_any(), api_key([SCOPE])
    with getattr(keyportal, how)():
        seen = service(("Authorization", key.header))
    assert is_refused(seen, "unavailable", keyportal)
    assert int(seen.headers["Retry-After"]) > 0
    assert service(("Authorization", key.header)).status == 200


def test_a_service_that_is_not_set_up_makes_no_verdict(
    serve: Serve,
    keyportal: InMemoryPortal,
    api_key: MakeKey,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("KEYPORTAL_KEY")
    service, key = serve(), api_key([SCOPE])
    for _ in range(2):
        assert is_refused(service(("Authorization", key.header)), "unavailable", keyportal)
    said = [record for record in caplog.records if record.name == "keyportal_client"]
    assert len(said) == 1
    assert "Set KEYPORTAL_KEY" in said[0].getMessage()


def test_too_many_calls_are_told_when_to_try_again(
    serve: Serve, keyportal: InMemoryPortal, api_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"valid": False, "code": "rate_limited", "about": {"retry_after": 7}, "now": OVER}
    body = json.dumps(said).encode()
    monkeypatch.setattr(InMemoryPortal, "handle", lambda *_: httpx.Response(200, stream=httpx.ByteStream(body)))
    seen = serve()(("Authorization", api_key([SCOPE]).header))
    assert is_refused(seen, "rate_limited", keyportal)
    assert seen.headers["Retry-After"] == "7"


def test_an_end_that_is_near_is_announced(serve_any: Serve, keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    service, key = serve_any(), api_key([SCOPE], expires_at=timedelta(days=3))
    keyportal.state.change(key.secret, replaced_at=OVER, retires_at="2999-01-01T00:00:00Z")
    for _ in range(2):
        seen = service(("Authorization", key.header))
        assert seen.headers["X-Keyportal-Expires"].endswith("Z")
        assert seen.headers["Deprecation"] == "@1577836800"
        assert seen.headers["Sunset"] == "Tue, 01 Jan 2999 00:00:00 GMT"


def test_the_owner_is_who_the_service_says(serve_any: Serve, api_key: MakeKey) -> None:
    service, key = serve_any(user=lambda credential: f"row of {credential.owner_id}"), api_key([SCOPE])
    seen = service(("Authorization", key.header))
    assert seen.body["user"] == f"row of {seen.body['owner']}"


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("198.51.100.7", [], 200),
        (PEER, ["198.51.100.7"], 403),
        ("10.0.0.1", ["198.51.100.7"], 200),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], 403),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7, 10.0.0.2"], 200),
    ],
)
def test_the_clients_address_is_what_trusted_proxies_say(
    serve: Serve, api_key: MakeKey, peer: str, forwarded: list[str], status: int
) -> None:
    service = serve(trusted_proxies=["10.0.0.0/8"])
    headers = [("X-Forwarded-For", value) for value in forwarded]
    key = api_key([SCOPE], networks=["198.51.100.0/24"])
    assert service(("Authorization", key.header), *headers, peer=peer).status == status


AUDIENCE: Final = "https://reports.example.com"


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("", ["{assertion}"]),
        ("missing_credential", []),
        ("malformed_request", ["{assertion}", "{assertion}"]),
        ("invalid_token", ["{assertion}x"]),
        ("invalid_token", ["{other}"]),
    ],
)
def test_behind_a_gateway_its_assertion_says_who_it_is(
    serve: Serve, keyportal: InMemoryPortal, api_key: MakeKey, code: str, headers: list[str]
) -> None:
    key, service = api_key([SCOPE]), serve(trust="assertion", audience=AUDIENCE)
    texts = {"assertion": key.assertion(AUDIENCE), "other": key.assertion("https://other.example.com")}
    sent = [("X-Keyportal-Assertion", header.format(**texts)) for header in headers]
    seen = service(*sent, ("Authorization", key.header))  # which is not looked at
    assert seen.status == 200 if not code else is_refused(seen, code, keyportal)


def test_an_assertion_of_a_credential_without_the_scope_is_not_enough(
    serve: Serve, keyportal: InMemoryPortal, api_key: MakeKey
) -> None:
    service = serve(trust="assertion", audience=AUDIENCE)
    assertion = api_key(["reports:write"]).assertion(AUDIENCE)
    assert is_refused(service(("X-Keyportal-Assertion", assertion)), "insufficient_scope", keyportal)


OWNER: Final = ("X-Keyportal-Owner", "usr_1")
PLAIN: Final = (
    OWNER,
    ("X-Keyportal-Key", "key_1"),
    ("X-Keyportal-Scopes", SCOPE),
    ("X-Keyportal-Environment", "live"),
    ("X-Keyportal-Kind", "api_key"),
)


@pytest.mark.parametrize(
    ("peer", "headers", "code"),
    [
        ("10.0.0.1", PLAIN, ""),
        (PEER, PLAIN, "missing_credential"),
        ("10.0.0.1", (), "missing_credential"),
        ("10.0.0.1", (OWNER, *PLAIN), "malformed_request"),
        ("10.0.0.1", PLAIN[:-1], "malformed_request"),
    ],
)
def test_plain_headers_are_believed_from_a_gateway_alone(
    serve: Serve, keyportal: InMemoryPortal, peer: str, headers: tuple[tuple[str, str], ...], code: str
) -> None:
    service = serve(trust="headers", trusted_networks=["10.0.0.0/8"])
    seen = service(*headers, ("X-Forwarded-For", "10.0.0.1"), peer=peer)
    assert seen.body["owner"] == "usr_1" if not code else is_refused(seen, code, keyportal)
