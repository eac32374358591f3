"""Signed tokens: forgeries and what has expired are refused without asking, and whatever is not certain is asked."""

import base64
import json

import pytest

from keyportal_client import CredentialRefusedError, Verifier
from keyportal_client.refusals import Refusal
from tests.clients.stub import Reply, problem
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import OF_A_KEY, SECONDS
from tests.clients.verifying.scripted import (
    JWKS,
    SERVICE_KEY,
    VERIFY,
    ScriptedPortal,
    clock,
    scripted,
    verifier,
    warm,
)
from tests.clients.verifying.signer import TOKEN, a_token, ring_of
from vault.assertions import TYPE as ASSERTION

__all__ = ["clock", "scripted", "verifier"]

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def published(scripted: ScriptedPortal) -> None:
    """Have the portal publish its keys."""
    for algorithm in ("ES256", "EdDSA", "RS256"):
        scripted.public_keys += ring_of(algorithm).public_set()["keys"]


def known(portal: ScriptedPortal, token: str) -> str:
    """Have the portal know a token."""
    portal.records[token] = OF_A_KEY | {"kind": "access_token", "id": TOKEN}
    return token


def refusal(verifier: Verifier, token: str) -> Refusal:
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.verify(token)
    return caught.value.refusal


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_token_is_asked_about_once(scripted: ScriptedPortal, verifier: Verifier, algorithm: str) -> None:
    token = known(scripted, a_token(scripted.url, ring_of(algorithm).primary))
    assert verifier.verify(token).id == TOKEN
    warm(verifier)
    assert verifier.verify(token).id == TOKEN
    assert (len(scripted.asked), scripted.requests(JWKS)) == (1, 1)


def b64(members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


def forgeries(portal: str) -> dict[str, str]:
    """Return tokens that the portal did not sign, or not as access tokens."""
    genuine = a_token(portal)
    header, payload, signature = genuine.split(".")
    kid = ring_of().primary.id
    return {
        "another signature": f"{header}.{payload}.{signature[::-1]}",
        "another payload": f"{header}.{b64({'sub': 'user:usr_1'})}.{signature}",
        "another key": a_token(portal, ring_of(other=True).primary),
        "another algorithm": f"{b64({'alg': 'EdDSA', 'kid': kid, 'typ': 'at+jwt'})}.{payload}.{signature}",
        "another type": a_token(portal, kind=ASSERTION),
        "no header": f"e30.{payload}.{signature}",
        "a header that is none": f"AAAA.{payload}.{signature}",
        "a header that is a list": f"{b64([])}.{payload}.{signature}",
        "no JSON": "a.b.c",
    }


@pytest.mark.parametrize("kind", forgeries("https://portal.test"))
def test_a_forgery_is_refused_without_asking(scripted: ScriptedPortal, verifier: Verifier, kind: str) -> None:
    assert refusal(verifier, forgeries(scripted.url)[kind]) == Refusal("invalid_token")
    assert scripted.requests(VERIFY) == 0


def test_a_token_that_has_expired_is_refused_without_asking(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    token = a_token(scripted.url)
    assert refusal(verifier, scripted.new_key()[:-1] + "_").code == "invalid_token"
    assert verifier.verify(scripted.new_key())  # by which the portal's clock is known
    clock.pass_by(600 + 60)
    assert refusal(verifier, token) == Refusal(
        "expired", about={"token": TOKEN, "client": OF_A_KEY["id"], "at": "2026-03-01T11:10:00Z"}
    )
    assert scripted.requests(VERIFY) == 1


def test_what_may_be_good_for_a_moment_longer_is_left_to_the_portal(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    token = known(scripted, a_token(scripted.url))
    verifier.verify(scripted.new_key())
    clock.pass_by(600 + 59)
    assert verifier.verify(token).id == TOKEN


def test_without_the_portals_clock_nothing_counts_as_expired(scripted: ScriptedPortal, verifier: Verifier) -> None:
    token = known(scripted, a_token(scripted.url, issued_at=int(SECONDS) - 10_000, expires_at=int(SECONDS) - 9_000))
    assert verifier.verify(token).id == TOKEN


def test_an_expired_token_for_another_service_is_left_to_the_portal(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    token = a_token(scripted.url, audience="https://other.example.com")
    verifier.verify(scripted.new_key())
    clock.pass_by(3600)
    assert refusal(verifier, token).code == "invalid_token"
    assert scripted.asked[-1]["credential"] == token


def test_the_audience_is_that_of_the_verifier(scripted: ScriptedPortal, clock: Clock) -> None:
    token = known(scripted, a_token(scripted.url, audience="https://me.example.com"))
    with Verifier(scripted.url, key=SERVICE_KEY, audience="https://me.example.com") as verifier:
        verifier.verify(token)
        assert scripted.asked[-1]["audience"] == "https://me.example.com"
        clock.pass_by(3600)
        assert refusal(verifier, a_token(scripted.url, audience="https://me.example.com", scope="")).code == "expired"


def test_a_token_of_a_key_that_is_not_published_is_left_to_the_portal(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    token = known(scripted, a_token(scripted.url, ring_of("HS256").primary))
    assert verifier.verify(token).id == TOKEN
    assert scripted.requests(JWKS) == 0


def test_an_unknown_key_is_looked_for_every_half_minute(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    verifier.verify(known(scripted, a_token(scripted.url)))
    newer = ring_of("ES256", other=True)
    token = known(scripted, a_token(scripted.url, newer.primary))
    scripted.public_keys += newer.public_set()["keys"]
    assert verifier.verify(token).id == TOKEN
    assert (scripted.requests(JWKS), len(scripted.asked)) == (1, 2)
    clock.pass_by(30)
    assert verifier.verify(token).id == TOKEN
    assert scripted.requests(JWKS) == 2
    header, payload, _ = token.split(".")
    assert refusal(verifier, f"{header}.{payload}.AAAA").code == "invalid_token"


def test_keys_that_can_not_be_fetched_hold_nothing_up(
    scripted: ScriptedPortal, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.instead[JWKS] = problem(503, "unavailable")
    assert verifier.verify(known(scripted, a_token(scripted.url))).id == TOKEN
    assert refusal(verifier, forgeries(scripted.url)["another signature"]).code == "invalid_token"
    assert (scripted.requests(JWKS), len(scripted.asked), caplog.records) == (1, 2, [])


def test_keys_are_not_fetched_from_a_portal_that_is_away(scripted: ScriptedPortal, verifier: Verifier) -> None:
    scripted.instead[VERIFY] = Reply(0)
    assert refusal(verifier, scripted.new_key()).code == "unavailable"
    assert refusal(verifier, a_token(scripted.url)).code == "unavailable"
    assert scripted.requests(JWKS) == 0


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"keys": [1, {}, {"kid": "x", "alg": "ES256"}]}', b"x"])
def test_a_key_set_that_says_nonsense_has_no_keys(scripted: ScriptedPortal, verifier: Verifier, body: bytes) -> None:
    scripted.instead[JWKS] = problem(200, "x")._replace(body=body)
    token = known(scripted, a_token(scripted.url))
    if b"keys" in body:
        assert refusal(verifier, token).code == "invalid_token"
    else:
        assert verifier.verify(token).id == TOKEN


def test_without_the_libraries_for_signatures_the_portal_is_asked(
    scripted: ScriptedPortal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyportal_client.verifying.process_state.HAS_JWT", False)
    with Verifier(scripted.url, key=SERVICE_KEY) as verifier:
        assert refusal(verifier, forgeries(scripted.url)["another signature"]).code == "invalid_token"
    assert (scripted.requests(JWKS), len(scripted.asked)) == (0, 1)
