"""The signed identity behind a gateway: for one service and a minute, checked by the portal's published keys alone."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from keyportal_client import (
    AssertionVerifier,
    AsyncAssertionVerifier,
    CredentialRefusedError,
    VerdictUnavailableError,
)
from keyportal_client.errors import ConfigurationError
from keyportal_client.refusals import Refusal
from keyportal_client.verifying.answers import Answer
from keyportal_client.verifying.key_set import CALL, KeySet
from tests.clients.stub import problem
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import KEY, OWNER
from tests.clients.verifying.scripted import JWKS, ScriptedPortal, clock, scripted
from tests.clients.verifying.signer import SERVICE, a_token, an_assertion, ring_of
from vault.signing import sign_as

__all__ = ["clock", "scripted"]

pytestmark = pytest.mark.once


@pytest.fixture
def verifier(scripted: ScriptedPortal, clock: Clock) -> Iterator[AssertionVerifier]:
    scripted.public_keys = ring_of().public_set()["keys"]
    verifier = AssertionVerifier(scripted.url, service=SERVICE)
    yield verifier
    verifier.close()


def refusal(verifier: AssertionVerifier, assertion: str | None, **needed: Any) -> Refusal:
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.authenticate(assertion, **needed)
    return caught.value.refusal


def test_an_assertion_says_whose_the_request_is(scripted: ScriptedPortal, verifier: AssertionVerifier) -> None:
    for _ in range(3):
        credential = verifier.authenticate(an_assertion(scripted.url, time.time()), scopes=("reports:read",))
    assert (credential.kind, credential.id, credential.client_id, credential.owner_id) == ("api_key", KEY, KEY, OWNER)
    assert (credential.environment, credential.scopes) == ("live", frozenset({"reports:read", "reports:write"}))
    assert {(request.path, request.headers.get("Authorization")) for request in scripted.stub.received} == {
        (JWKS, None)
    }
    assert scripted.requests(JWKS) == 1


def test_a_log_ins_request_is_its_owners(scripted: ScriptedPortal, verifier: AssertionVerifier) -> None:
    of_a_log_in: dict[str, Any] = {"subject": f"user:{OWNER}", "client_id": "portal", "kind": "access_token"}
    credential = verifier.authenticate(an_assertion(scripted.url, time.time(), **of_a_log_in))
    assert (credential.id, credential.key_id, credential.owner_id) == (OWNER, "", OWNER)


@pytest.mark.parametrize("assertion", [None, ""])
def test_without_an_assertion_the_credential_is_missing(verifier: AssertionVerifier, assertion: str | None) -> None:
    assert refusal(verifier, assertion) == Refusal("missing_credential")


BAD: dict[str, dict[str, Any]] = {
    "for another service": {"audience": "https://other.example.com"},
    "for no service": {"audience": ""},
    "of another portal": {"issuer": "https://other.example.com"},
    "expired": {"issued_at": 0, "expires_at": 60},
    "of a time to come": {"issued_at": 4_000_000_000, "expires_at": 4_000_000_060},
    "without an owner": {"owner": ""},
    "whose times are text": {"expires_at": "4000000000"},
    "that never expires": {"expires_at": None},
    "after all time": {"expires_at": 10**20},
    "for several": {"audience": [SERVICE]},
    "signed by somebody else": {"key": ring_of(other=True).primary},
    "by a shared key": {"key": ring_of("HS256").primary},
}


@pytest.mark.parametrize("kind", BAD)
def test_an_assertion_that_is_not_for_this_request_is_none(
    scripted: ScriptedPortal, verifier: AssertionVerifier, kind: str
) -> None:
    assert refusal(verifier, an_assertion(scripted.url, time.time(), **BAD[kind])) == Refusal("invalid_token")


def test_no_credential_is_an_assertion(scripted: ScriptedPortal, verifier: AssertionVerifier) -> None:
    token = a_token(scripted.url, audience=SERVICE, issued_at=int(time.time()), expires_at=int(time.time()) + 60)
    good = an_assertion(scripted.url, time.time())
    for text in (token, scripted.new_key(), "a.b.c", good + "x", f"{good},{good}", f"Bearer {good}", good + "=" * 9000):
        assert refusal(verifier, text) == Refusal("invalid_token")


@pytest.mark.parametrize("kind", ["at+jwt", "JWT", "keyportal-assertion"])
def test_a_token_of_another_type_is_no_assertion_whatever_it_says(
    scripted: ScriptedPortal, verifier: AssertionVerifier, kind: str
) -> None:
    body = an_assertion(scripted.url, time.time()).split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert verifier.authenticate(sign_as("keyportal-assertion+jwt", ring_of().primary, said)).id == KEY
    assert refusal(verifier, sign_as(kind, ring_of().primary, said)) == Refusal("invalid_token")


def test_an_assertion_of_the_published_key_under_another_algorithm_is_none(
    scripted: ScriptedPortal, verifier: AssertionVerifier
) -> None:
    scripted.public_keys = [key | {"alg": "RS256"} for key in scripted.public_keys]
    assert refusal(verifier, an_assertion(scripted.url, time.time())) == Refusal("invalid_token")


def test_what_a_request_lacks_is_refused(scripted: ScriptedPortal, verifier: AssertionVerifier) -> None:
    assertion = an_assertion(scripted.url, time.time())
    assert refusal(verifier, assertion, environment="test").about == {"key": KEY, "environment": "live"}
    lacking = refusal(verifier, assertion, scopes=("more",), client_ip="192.0.2.7")
    assert (lacking.code, lacking.scopes, lacking.about) == ("insufficient_scope", ("more",), {"key": KEY})


def test_a_newer_key_is_fetched_and_a_withdrawn_one_forgotten(
    scripted: ScriptedPortal, verifier: AssertionVerifier, clock: Clock
) -> None:
    former, newer = ring_of(), ring_of("EdDSA")
    verifier.authenticate(an_assertion(scripted.url, time.time()))
    scripted.public_keys = newer.public_set()["keys"]
    clock.pass_by(30)
    verifier.authenticate(an_assertion(scripted.url, time.time(), newer.primary))
    assert refusal(verifier, an_assertion(scripted.url, time.time(), former.primary)).code == "invalid_token"
    assert scripted.requests(JWKS) == 2
    scripted.public_keys = former.public_set()["keys"]
    clock.pass_by(300)
    assert refusal(verifier, an_assertion(scripted.url, time.time(), newer.primary)).code == "invalid_token"


def test_without_the_portal_its_keys_are_good_for_an_hour(
    scripted: ScriptedPortal, verifier: AssertionVerifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    verifier.authenticate(an_assertion(scripted.url, time.time()))
    scripted.instead[JWKS] = problem(503, "unavailable")
    clock.pass_by(3599)
    verifier.authenticate(an_assertion(scripted.url, time.time()))
    clock.pass_by(1)
    with pytest.raises(VerdictUnavailableError):
        verifier.authenticate(an_assertion(scripted.url, time.time()))
    assert "publishes no keys" in caplog.text
    del scripted.instead[JWKS]
    clock.pass_by(2)
    verifier.authenticate(an_assertion(scripted.url, time.time()))


def test_nobody_waits_for_newer_keys_who_has_one_that_is_known(clock: Clock) -> None:
    published, keys = ring_of().public_set(), KeySet(now=clock)
    known: str = published["keys"][0]["kid"]
    fetching = keys.renew_for(known)
    assert next(fetching) is CALL
    with pytest.raises(StopIteration):
        fetching.send(Answer(200, "", json.dumps(published).encode()))
    clock.pass_by(300)
    first, second, third = (keys.renew_for(key_id) for key_id in (known, known, "another"))
    assert next(first) is CALL
    assert next(second, "goes on") == "goes on"
    assert isinstance(next(third), Future)


def test_the_issuer_is_the_portals_public_address(scripted: ScriptedPortal, clock: Clock) -> None:
    scripted.public_keys = ring_of().public_set()["keys"]
    verifier = AssertionVerifier(scripted.url, service=SERVICE, issuer="https://keys.example.com")
    assert verifier.authenticate(an_assertion("https://keys.example.com", time.time())).id == KEY
    assert refusal(verifier, an_assertion(scripted.url, time.time())).code == "invalid_token"
    verifier.close()


def test_an_event_loop_goes_on_while_keys_are_fetched_once(scripted: ScriptedPortal, clock: Clock) -> None:
    scripted.public_keys = ring_of().public_set()["keys"]
    verifier = AsyncAssertionVerifier(scripted.url, service=SERVICE)

    async def check() -> None:
        assertion = an_assertion(scripted.url, time.time())
        found = await asyncio.gather(*[verifier.authenticate(assertion) for _ in range(5)])
        assert {credential.id for credential in found} == {KEY}
        with pytest.raises(CredentialRefusedError, match="missing_credential"):
            await verifier.authenticate(None)
        await verifier.close()

    asyncio.run(check())
    assert scripted.requests(JWKS) == 1


def test_what_is_raised_has_no_assertion(scripted: ScriptedPortal, verifier: AssertionVerifier) -> None:
    assertion = sign_as("keyportal-assertion+jwt", ring_of().primary, {"sub": "planted"})
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.authenticate(assertion)
    frame = caught.tb.tb_next
    assert frame is not None
    assert assertion not in repr(frame.tb_frame.f_locals)
    assert SERVICE in repr(verifier)


def test_without_the_libraries_for_signatures_no_verifier_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyportal_client.verifying.jws.HAS_JWT", False)
    with pytest.raises(ConfigurationError, match=r"keyportal-client\[tokens\]"):
        AssertionVerifier("https://keys.example.com", service=SERVICE)
