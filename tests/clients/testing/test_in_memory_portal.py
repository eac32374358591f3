"""The fixtures for those who test a service: what its verifiers find at a portal in memory, at once."""

import asyncio
import logging
import os
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from keyportal_client import AsyncVerifier, CredentialRefusedError, VerdictUnavailableError, Verifier
from keyportal_client.calling import ClientCredentials
from keyportal_client.errors import NotAuthenticatedError, UnreachableError
from keyportal_client.testing import InMemoryPortal, in_memory_portal
from keyportal_client.testing.change_log import ChangeLog
from keyportal_client.testing.environment import remember
from keyportal_client.testing.plugin import MakeKey, api_key, keyportal
from keyportal_client.testing.verifiers import ThreadlessFeed
from keyportal_client.verifying.assertion_verifier import AssertionVerifier, AsyncAssertionVerifier
from keyportal_client.verifying.feed import Feed
from tests.waiting import wait_until

__all__ = ["api_key", "keyportal"]
pytestmark = pytest.mark.once


def code(verifier: Verifier, header: str | None, **needed: str) -> str:
    """Return what a verifier says of a header."""
    try:
        verifier.authenticate(header, **needed)
    except CredentialRefusedError as error:
        return error.refusal.code
    return "ok"


@pytest.fixture
def verifier(keyportal: InMemoryPortal) -> Verifier:
    """The verifier of a service, which knows nothing of tests."""
    return Verifier(service="reports")


def test_a_key_is_whose_it_is(verifier: Verifier, api_key: MakeKey) -> None:
    key = api_key(scopes=["reports:read"], environment="test", name="billing", expires_at=timedelta(days=1))
    credential = verifier.authenticate(key.header, scopes=("reports:read",), environment="test")
    assert (credential.id, credential.name, credential.scopes) == (key.id, "billing", frozenset({"reports:read"}))
    assert credential.expires_at is not None
    assert verifier.verify(key.secret) == credential
    assert verifier.authenticate(key.headers["Authorization"]) == credential


def test_what_a_key_lacks_is_refused(verifier: Verifier, api_key: MakeKey) -> None:
    key = api_key(scopes=["reports:read"], networks=["192.0.2.0/24"])
    assert code(verifier, key.header, client_ip="192.0.2.7") == "ok"
    assert code(verifier, key.header, client_ip="198.51.100.7") == "network_refused"
    assert code(verifier, key.header, environment="test") == "wrong_environment"
    with pytest.raises(CredentialRefusedError, match="insufficient_scope"):
        verifier.verify(key.secret, scopes=("reports:write",), client_ip="192.0.2.7")


def test_what_is_done_to_a_key_is_known_at_once(
    verifier: Verifier, api_key: MakeKey, keyportal: InMemoryPortal
) -> None:
    key, other = api_key(), api_key()
    found = [code(verifier, key.header), code(verifier, other.header)]
    key.pause("looking into odd calls")
    found += [code(verifier, key.header), code(verifier, other.header)]
    key.resume()
    found.append(code(verifier, key.header))
    key.expire()
    found.append(code(verifier, key.header))
    key.revoke("test")
    found += [code(verifier, key.header), code(verifier, other.header)]
    assert found == ["ok", "ok", "paused", "ok", "ok", "expired", "revoked", "ok"]


def test_a_verifier_may_be_found_to_be_garbage_during_its_own_poll(
    api_key: MakeKey, keyportal: InMemoryPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        verifiers.clear()
        return InMemoryPortal.handle(keyportal, request)

    key = api_key()
    verifiers = [Verifier()]
    verifiers[0].verify(key.secret)
    verifiers[0].verify(key.secret)
    feed = verifiers[0]._state.feed
    assert isinstance(feed, ThreadlessFeed)
    poll = threading.Thread(target=feed.poll, daemon=True)
    monkeypatch.setattr(keyportal, "handle", handle)
    poll.start()
    wait_until(lambda: not poll.is_alive())
    assert (verifiers, keyportal.usage) == ([], {key.id: {"accepted": 2}})


def test_a_check_is_answered_from_memory_until_something_changes(
    verifier: Verifier, api_key: MakeKey, keyportal: InMemoryPortal
) -> None:
    key = api_key()
    for _ in range(3):
        assert code(verifier, key.header) == "ok"
    key.revoke()
    for _ in range(2):
        assert code(verifier, key.header) == "revoked"
    assert keyportal.usage == {key.id: {"accepted": 3, "revoked": 2}}
    assert keyportal.usage == {key.id: {"accepted": 3, "revoked": 2}}
    by_entry_point = {calls[1:]: count for calls, count in keyportal.state.calls.items()}
    assert by_entry_point == {
        ("verify", "accepted"): 1,
        ("reports", "accepted"): 2,
        ("verify", "revoked"): 1,
        ("reports", "revoked"): 1,
    }


def test_counts_of_a_verifier_that_is_closed_are_there(
    verifier: Verifier, api_key: MakeKey, keyportal: InMemoryPortal
) -> None:
    key = api_key()
    with verifier:
        assert [code(verifier, key.header) for _ in range(2)] == ["ok", "ok"]
    assert keyportal.usage == {key.id: {"accepted": 2}}


def test_asynchronous_services_find_the_same(api_key: MakeKey, keyportal: InMemoryPortal) -> None:
    async def ask() -> None:
        key = api_key(["reports:read"])
        async with AsyncVerifier() as verifier:
            assert (await verifier.authenticate(key.header, scopes=("reports:read",))).id == key.id
            key.revoke()
            with pytest.raises(CredentialRefusedError, match="revoked"):
                await verifier.authenticate(key.header)
            with keyportal.away(), pytest.raises(VerdictUnavailableError):
                await verifier.authenticate(key.header)
            with pytest.raises(CredentialRefusedError, match="revoked"):
                await verifier.authenticate(key.header)
        assert keyportal.usage == {key.id: {"accepted": 1, "revoked": 2}}

    asyncio.run(ask())


@pytest.mark.parametrize(("how", "said"), [("away", "Nothing answers at"), ("slow", "did not answer in time.")])
def test_a_portal_that_can_not_be_asked_is_no_verdict_and_is_back_at_once(
    verifier: Verifier,
    api_key: MakeKey,
    keyportal: InMemoryPortal,
    caplog: pytest.LogCaptureFixture,
    how: str,
    said: str,
) -> None:
    key = api_key()
    assert code(verifier, key.header) == "ok"
    with getattr(keyportal, how)():
        assert [code(verifier, key.header) for _ in range(3)] == ["unavailable"] * 3
        key.revoke()
    assert code(verifier, key.header) == "revoked"
    assert keyportal.usage == {key.id: {"accepted": 1, "revoked": 1}}
    assert said in caplog.text


def test_a_portal_is_back_only_after_the_outermost_block(
    verifier: Verifier, api_key: MakeKey, keyportal: InMemoryPortal
) -> None:
    key = api_key()
    assert [code(verifier, key.header) for _ in range(2)] == ["ok", "ok"]
    with keyportal.slow():
        with keyportal.away():
            assert code(verifier, key.header) == "unavailable"
        assert code(verifier, key.header) == "unavailable"
    assert code(verifier, key.header) == "ok"
    assert keyportal.usage == {key.id: {"accepted": 3}}


def test_a_verifier_that_was_there_before_is_answered_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYPORTAL_PORTAL", "http://localhost:1")
    monkeypatch.setenv("KEYPORTAL_KEY", "whatever-the-service-has")
    verifier = Verifier()
    for _ in range(2):
        with in_memory_portal() as portal:
            key = portal.api_key()
            assert (portal.key, code(verifier, key.header)) == ("whatever-the-service-has", "ok")
    assert not [thread for thread in threading.enumerate() if thread.name == "keyportal-feed"]
    assert code(verifier, key.header) == "unavailable"
    verifier.close()


def test_whatever_happens_within_all_is_as_before_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYPORTAL_PORTAL", "http://localhost:1/")
    monkeypatch.delenv("KEYPORTAL_KEY", raising=False)
    before = (httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request)
    verifier = Verifier(key="kp_live_x")

    def fail() -> None:
        with in_memory_portal() as portal:
            assert os.environ["KEYPORTAL_KEY"] == portal.key
            os.environ["OF_THE_TEST"] = "stays"
            assert code(verifier, portal.api_key().header) == "unavailable"
            raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        fail()
    assert (httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request) == before
    assert os.environ.pop("OF_THE_TEST") == "stays"
    assert (os.environ["KEYPORTAL_PORTAL"], os.environ.get("KEYPORTAL_KEY")) == ("http://localhost:1/", None)
    assert type(verifier._state.feed) is Feed


def test_requests_that_are_for_another_double_get_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return httpx.Response(418)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with in_memory_portal() as portal, httpx.Client(trust_env=False) as client:
        found = [client.get(url).status_code for url in ("https://elsewhere.example/", f"{portal.url}/api/v1/changes")]
    assert found == [418, 401]


def test_a_portal_knows_only_its_own_keys(verifier: Verifier, api_key: MakeKey) -> None:
    with in_memory_portal() as other:
        foreign = other.api_key()
    assert code(verifier, foreign.header) == "invalid_token"
    assert code(verifier, None) == "missing_credential"


def test_a_service_whose_own_key_may_not_ask_is_told(
    keyportal: InMemoryPortal, api_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    key = api_key()
    assert code(Verifier(key=key.secret), key.header) == "unavailable"
    assert "refuses this service's own key (insufficient_scope)" in caplog.text


def test_signed_identities_are_those_of_a_gateway(api_key: MakeKey, keyportal: InMemoryPortal) -> None:
    key, header = api_key(["reports:read"]), "https://reports.example.com"
    verifier = AssertionVerifier(service=header)
    credential = verifier.authenticate(key.assertion(header), scopes=("reports:read",))
    assert (credential.id, credential.key_id, credential.environment) == (key.id, key.id, "live")
    with pytest.raises(CredentialRefusedError, match="invalid_token"):
        verifier.authenticate(key.assertion("another"))
    checked = asyncio.run(AsyncAssertionVerifier(service=header).authenticate(key.assertion(header)))
    assert checked == credential
    key.pause()
    with pytest.raises(CredentialRefusedError, match="paused"):
        key.assertion(header)


def test_a_report_that_comes_again_counts_once(api_key: MakeKey, keyportal: InMemoryPortal) -> None:
    key = api_key()
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H:00:00Z")
    calls = {"credential": key.id, "entry_point": "x", "outcome": "accepted", "hour": hour, "count": 3}
    with httpx.Client(headers={"Authorization": f"Bearer {keyportal.key}"}, trust_env=False) as client:
        for _ in range(2):
            report = {"batch": "batch-0123456789abcdef", "calls": [calls]}
            assert client.post(f"{keyportal.url}/api/v1/usage", json=report).status_code == 202
    assert keyportal.usage == {key.id: {"accepted": 3}}


def test_a_place_that_does_not_exist_is_answered_with_a_reset() -> None:
    log = ChangeLog()
    log.add("key:1")
    identity, number, *rest = log.cursor.split(".")
    assert log.since(log.cursor) == []
    assert log.since(".".join((identity, "0", *rest))) == ["key:1"]
    assert log.since(".".join((identity, str(int(number) + 1), *rest))) is None


def test_access_tokens_end_with_their_key(verifier: Verifier, api_key: MakeKey, keyportal: InMemoryPortal) -> None:
    key = api_key(["reports:read", "reports:write"])
    token = key.access_token(["reports:read"])
    for _ in range(2):
        credential = verifier.verify(token, scopes=("reports:read",))
    assert (credential.kind, credential.key_id, credential.scopes) == (
        "access_token",
        key.id,
        frozenset({"reports:read"}),
    )
    assert code(verifier, f"Bearer {key.access_token(service='https://elsewhere.example')}") == "invalid_token"
    assert code(verifier, f"Bearer {token[:-4]}AAAA") == "invalid_token"
    key.revoke()
    assert code(verifier, f"Bearer {token}") == "revoked"
    assert keyportal.usage == {key.id: {"accepted": 2, "revoked": 1}}
    with pytest.raises(ValueError, match="lacks"):
        key.access_token(["more"])


def test_a_client_exchanges_its_key_for_what_a_service_takes(
    verifier: Verifier, api_key: MakeKey, keyportal: InMemoryPortal
) -> None:
    key = api_key(["reports:read"])
    token = ClientCredentials(keyportal.url, key.secret).current()
    assert verifier.verify(token, scopes=("reports:read",)).key_id == key.id
    key.pause()
    with pytest.raises(NotAuthenticatedError, match="This key is paused"):
        ClientCredentials(keyportal.url, key.secret).current()
    with keyportal.away(), pytest.raises(UnreachableError, match="Nothing answers"):
        ClientCredentials(keyportal.url, key.secret).current()


def test_other_addresses_are_none_of_its_business(keyportal: InMemoryPortal) -> None:
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{keyportal.url}/.well-known/jwks.json").json()["keys"]
        assert client.get(f"{keyportal.url}/elsewhere").json()["code"] == "not_found"
        with pytest.raises(httpx.ConnectError):
            client.get("http://localhost:2/.well-known/jwks.json")


def test_no_secret_is_shown(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    key = api_key()
    for shown in (repr(keyportal), repr(key), str(key)):
        assert key.secret not in shown
        assert keyportal.key not in shown
    assert key.id in repr(key)


def test_what_no_key_can_have_is_a_mistake_of_the_test(api_key: MakeKey) -> None:
    for wrong in (
        {"scopes": "reports:read"},
        {"environment": "production"},
        {"networks": ["everywhere"]},
        {"expires_at": datetime(2026, 1, 1)},
    ):
        with pytest.raises(ValueError, match=r"collection|live or test|network|time zone"):
            api_key(**wrong)


def test_a_fault_of_the_service_is_logged_as_in_production(
    keyportal: InMemoryPortal, api_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "keyportal_client")
    verifier = Verifier(key="kp_live_unknown")
    assert code(verifier, api_key().header) == "unavailable"
    assert [record.message for record in caplog.records if "kp_live_unknown" in record.message] == []


def test_what_a_test_changes_of_the_environment_is_gone_after_it() -> None:
    """Even where what undoes its changes was made before the portal in memory, and so comes after it."""
    before = {name: os.environ.get(name) for name in ("KEYPORTAL_PORTAL", "KEYPORTAL_KEY")}
    patch = pytest.MonkeyPatch()
    remember(patch)
    with in_memory_portal():
        patch.delenv("KEYPORTAL_KEY")
        patch.setenv("KEYPORTAL_PORTAL", "https://another.example.com")
    patch.undo()
    assert {name: os.environ.get(name) for name in before} == before
