"""`POST /api/v1/verify`: the verdict for services in any language."""

from typing import Any

import pytest

from tests.conformance.forging import Forger
from tests.oauth_client import FORGET_GUESSES, ClientKey, OAuthClient, json_of, repeat_until_limited
from tests.portal import Portal

OWNER = "verify@example.com"


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    portal.shell("Scope.objects.get_or_create(name='verify:it', defaults={'description': 'v'})")
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def service(portal: Portal, owner: str) -> ClientKey:
    return ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted", name="a service"))


@pytest.fixture(scope="module")
def client(portal: Portal, owner: str) -> ClientKey:
    return ClientKey(*portal.make_key(OWNER, "--scope", "verify:it", name="shown"))


def verify(oauth_client: OAuthClient, service: ClientKey, credential: object, **more: object) -> dict[str, Any]:
    body = {"credential": credential, **more}
    answer = oauth_client.post("/api/v1/verify", body, Authorization=f"Bearer {service.secret}")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    return json_of(answer)


def test_a_good_credential_is_described(
    oauth_client: OAuthClient, service: ClientKey, client: ClientKey, owner: str
) -> None:
    answer = verify(
        oauth_client, service, client.secret, scopes=["verify:it"], environment="live", client_ip="192.0.2.1"
    )
    assert (answer["valid"], answer["code"], answer["owner"]) == (True, "ok", owner)
    assert (answer["credential"]["id"], answer["credential"]["scopes"]) == (client.id, ["verify:it"])
    token = verify(oauth_client, service, oauth_client.client_token(client))
    assert (token["valid"], token["credential"]["kind"], token["credential"]["client_id"]) == (
        True,
        "access_token",
        client.id,
    )
    assert client.secret not in str(answer)


def test_a_refusal_at_verify_says_why(
    portal: Portal, oauth_client: OAuthClient, service: ClientKey, client: ClientKey, owner: str
) -> None:
    gone = ClientKey(*portal.make_key(OWNER))
    portal.revoke_key(gone.id, "lost")
    cases: dict[str, dict[str, Any]] = {
        "insufficient_scope": {"credential": client.secret, "scopes": ["verify:more"]},
        "wrong_environment": {"credential": client.secret, "environment": "test"},
        "revoked": {"credential": gone.secret},
        "invalid_token": {"credential": "x"},
    }
    for code, asked in cases.items():
        answer = verify(oauth_client, service, **asked)
        assert (answer["valid"], answer["code"]) == (False, code)
    assert verify(oauth_client, service, gone.secret)["about"]["key"] == gone.id
    assert "key" not in verify(oauth_client, service, "x")["about"]
    forger = Forger(portal, owner)
    for name, token in {**forger.forgeries(), "for another": forger.for_another()}.items():
        assert verify(oauth_client, service, token)["code"] == "invalid_token", name
    portal.shell(FORGET_GUESSES)


@pytest.mark.conformance("BR-07")
def test_only_a_service_with_the_scope_may_ask(oauth_client: OAuthClient, client: ClientKey) -> None:
    answer = oauth_client.post("/api/v1/verify", {"credential": "x"}, Authorization=f"Bearer {client.secret}")
    assert (answer.status, json_of(answer)["key"]) == (403, client.id)
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="credentials:verify"' in answer.headers["www-authenticate"]
    assert oauth_client.post("/api/v1/verify", {"credential": "x"}).status == 401


@pytest.mark.conformance("PD-05")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/credential"),
        ({"credential": 5.5, "scopes": "x"}, "/scopes"),
        ({"credential": "x", "environment": "prod"}, "/environment"),
        ({"credential": "x", "client_ip": "nowhere"}, "/client_ip"),
        ({"credential": "x" * 9000}, "/credential"),
    ],
)
def test_a_wrong_body_is_pointed_at(oauth_client: OAuthClient, service: ClientKey, body: object, pointer: str) -> None:
    answer = oauth_client.post("/api/v1/verify", body, Authorization=f"Bearer {service.secret}")
    assert (answer.status, json_of(answer)["code"]) == (400, "validation")
    assert pointer in [error["pointer"] for error in json_of(answer)["errors"]]


def test_scanning_is_stopped(
    portal: Portal, oauth_client: OAuthClient, owner: str, client: ClientKey, service: ClientKey
) -> None:
    scanner = ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted"))
    head = {"Authorization": f"Bearer {scanner.secret}"}
    answer = repeat_until_limited(lambda: oauth_client.post("/api/v1/verify", {"credential": "x"}, **head), amount=100)
    assert int(answer.headers["retry-after"]) > 0
    by_token = oauth_client.client_token(scanner)  # another id, and the same caller
    assert oauth_client.post("/api/v1/verify", {"credential": "x"}, Authorization=f"Bearer {by_token}").status == 429
    together = json_of(
        oauth_client.post("/api/v1/verify", {"credentials": [client.secret, "x", client.secret]}, **head)
    )
    assert [each["code"] for each in together["results"]] == ["ok", "rate_limited", "ok"]
    assert together["results"][1]["about"]["retry_after"] > 0
    assert verify(oauth_client, service, client.secret)["valid"] is True
