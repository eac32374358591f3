"""Access tokens (RFC 9068): every entry point gives a forged one the same verdict, and takes what the ring signed."""

import time
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conformance.forging import Forger
from tests.oauth_client import ENDED, ClientKey, OAuthClient, json_of
from tests.portal import Portal

OWNER = "forged@example.com"
NOTHING: dict[str, object] = {}


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    portal.shell("Scope.objects.get_or_create(name='i:read', defaults={'description': 'i'})")
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def client(portal: Portal, owner: str) -> ClientKey:
    """A client that may not."""
    return ClientKey(*portal.make_key(OWNER, "--scope", "i:read"))


@pytest.fixture
def pair(owner: str, oauth_client: OAuthClient) -> dict[str, Any]:
    return oauth_client.log_in(OWNER)


@pytest.fixture
def forger(portal: Portal, owner: str) -> Forger:
    return Forger(portal, owner)


@pytest.mark.conformance("JW-04")
@pytest.mark.conformance("JW-05")
@pytest.mark.conformance("JW-06")
@pytest.mark.conformance("JW-08")
@pytest.mark.conformance("JW-09")
@pytest.mark.conformance("JW-10")
@pytest.mark.conformance("JW-12")
@pytest.mark.conformance("JW-13")
@pytest.mark.conformance("JW-15")
@pytest.mark.conformance("JW-16")
@pytest.mark.conformance("JW-27")
@pytest.mark.conformance("BR-05")
def test_every_endpoint_gives_a_forged_token_the_same_verdict(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey, forger: Forger
) -> None:
    bodies = set()
    asker = ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted"))
    for name, token in forger.forgeries().items():
        answer = oauth_client.me(token)
        assert (answer.status, json_of(answer)["code"]) == (401, "invalid_token"), name
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        bodies.add(answer.body)
        revoked = oauth_client.form("/oauth/revoke", {"token": token}, client=client)
        assert (revoked.status, revoked.body) == (200, b"{}"), name
        gate = portal.get("/gateway/auth", Authorization=f"Bearer {token}")
        assert (gate.status, gate.headers["x-keyportal-code"]) == (401, "invalid_token"), name
        verified = oauth_client.post("/api/v1/verify", {"credential": token}, Authorization=f"Bearer {asker.secret}")
        assert json_of(verified) == {"valid": False, "code": "invalid_token", "about": ANY}, name
    assert len(bodies) == 1
    assert portal.shell("print(RevokedToken.objects.filter(token_id__startswith='tok_forged').count())") == "0"


@pytest.mark.conformance("JW-17")
@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_what_the_ring_signed_is_taken(oauth_client: OAuthClient, forger: Forger, typ: str) -> None:
    assert oauth_client.me(forger.genuine({"typ": typ}, {})).status == 200


@pytest.mark.conformance("JW-11")
@pytest.mark.conformance("OT-09")
def test_a_token_ends_with_its_leeway(oauth_client: OAuthClient, forger: Forger) -> None:
    now = int(time.time())
    issued = {"iat": now - 600, "nbf": now - 600}
    assert oauth_client.me(forger.genuine({}, {**issued, "exp": now - 10})).status == 200
    over = oauth_client.me(forger.genuine({}, {**issued, "exp": now - 31}))
    assert (over.status, json_of(over)["code"]) == (401, "expired")
    assert 'error="invalid_token"' in over.headers["www-authenticate"]


@pytest.mark.second
@pytest.mark.conformance("JW-07")
def test_a_flood_of_unknown_keys_disturbs_nobody(
    oauth_client: OAuthClient, forger: Forger, pair: dict[str, Any]
) -> None:
    for number in range(150):
        assert oauth_client.wait_for_refusal(forger.genuine({"kid": f"unknown-{number}"}, {})) in ENDED
    assert oauth_client.me(pair["access_token"]).status == 200


@pytest.mark.conformance("JW-25")
@pytest.mark.conformance("JW-26")
def test_a_subject_is_never_taken_over(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("leaves@example.com")
    token = oauth_client.log_in("leaves@example.com")["access_token"]
    portal.shell(
        "from django.contrib.auth import get_user_model; "
        "u = User.objects.get(email='leaves@example.com'); u.token_families.all().delete(); u.delete()"
    )
    portal.make_developer("leaves@example.com")
    answer = oauth_client.me(token)
    assert (answer.status, json_of(answer)["code"]) == (401, "invalid_token")


@pytest.mark.conformance("JW-26")
def test_a_user_and_a_key_can_not_be_confused(
    oauth_client: OAuthClient, forger: Forger, client: ClientKey, owner: str
) -> None:
    of_secret = {"secret_id": forger.read(oauth_client.client_token(client)).secret_id}
    for subject in (f"key:{owner}", f"user:{client.id}", owner, client.id, "user:", "key:", ":", f"client:{client.id}"):
        for more in NOTHING, of_secret:
            assert oauth_client.wait_for_refusal(forger.genuine({}, {"sub": subject, **more})) == "invalid_token"
    of_key = {"sub": f"key:{client.id}"}
    assert oauth_client.wait_for_refusal(forger.genuine({}, of_key)) == "invalid_token"
    assert json_of(oauth_client.me(forger.genuine({}, {**of_key, **of_secret})))["kind"] == "access_token"
