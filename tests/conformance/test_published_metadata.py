"""Published metadata (RFC 8414), and clients of other libraries that go by it."""

from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session as RequestsSession

from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import Portal
from tests.waiting import DEADLINE

OWNER = "published@example.com"
METADATA = "/.well-known/oauth-authorization-server"
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def client(portal: Portal) -> ClientKey:
    portal.make_developer(OWNER)
    return ClientKey(*portal.make_key(OWNER))


def document(portal: Portal, path: str) -> dict[str, Any]:
    answer = portal.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return json_of(answer)


@pytest.mark.conformance("MD-01")
@pytest.mark.conformance("MD-02")
@pytest.mark.conformance("MD-04")
@pytest.mark.conformance("MD-05")
@pytest.mark.finding("H37")
def test_the_metadata_says_what_there_is(portal: Portal) -> None:
    metadata = document(portal, METADATA)
    assert metadata["issuer"] == portal.url
    assert metadata["grant_types_supported"] == ["client_credentials", "refresh_token"]
    assert metadata["response_types_supported"] == ["none"]
    assert all(metadata.values())  # strict readers take an empty list for a missing one
    assert "none" not in str(metadata.get("token_endpoint_auth_signing_alg_values_supported", ""))
    assert portal.request("POST", METADATA, body=b"").status == 405


@pytest.mark.conformance("MD-05")
@pytest.mark.finding("H37")
def test_a_strict_reader_finds_nothing_missing(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    AuthorizationServerMetadata(document(portal, METADATA)).validate()


@pytest.mark.conformance("MD-02")
def test_no_header_moves_the_issuer(portal: Portal, client: ClientKey, oauth_client: OAuthClient) -> None:
    assert json_of(portal.get(METADATA, Host="evil.example")) == document(portal, METADATA)
    forged = {"X-Forwarded-Host": "evil.example", "X_Forwarded_Host": "evil.example", "Forwarded": "host=evil.example"}
    forwarded = portal.get(METADATA, **forged)
    assert json_of(forwarded) == document(portal, METADATA)


@pytest.mark.conformance("MD-06")
@pytest.mark.conformance("MD-08")
def test_every_endpoint_is_there_and_takes_what_it_says(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey
) -> None:
    metadata = document(portal, METADATA)
    asking = ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted"))
    in_body = {"client_id": asking.id, "client_secret": asking.secret}
    bodies = {
        "token": {"grant_type": "client_credentials"},
        "revocation": {"token": "x"},
        "introspection": {"token": "x"},
    }
    for name, body in bodies.items():
        path = metadata[f"{name}_endpoint"].removeprefix(portal.url)
        assert portal.get(path).status == 405
        methods = metadata[f"{name}_endpoint_auth_methods_supported"]
        assert {"client_secret_basic", "client_secret_post"} <= set(methods)
        assert oauth_client.form(path, body, client=asking).status == 200
        assert oauth_client.form(path, {**body, **in_body}).status == 200
        assert oauth_client.form(path, body).status == 401
        bearer = oauth_client.form(path, body, Authorization=f"Bearer {asking.secret}")
        assert bearer.status == (200 if "Bearer" in methods else 401)
    assert "Bearer" in metadata["introspection_endpoint_auth_methods_supported"]
    assert oauth_client.form("/oauth/revoke", {"token": "x", "client_id": "portal"}).status == 200  # the method "none"


@pytest.mark.conformance("OT-08")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_clients_of_authlib_and_requests_oauthlib_work_unchanged(
    portal: Portal, client: ClientKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with AuthlibSession(client.id, client.secret) as session:
        session.fetch_token(f"{portal.url}/oauth/token", grant_type="client_credentials")
        assert session.get(f"{portal.url}/api/v1/me").json()["client_id"] == client.id
    with AuthlibSession(client.id, client.secret, token_endpoint_auth_method="client_secret_post") as session:
        token = session.fetch_token(f"{portal.url}/oauth/token", grant_type="client_credentials")
        assert session.revoke_token(f"{portal.url}/oauth/revoke", token=token["access_token"]).status_code == 200
        ended = requests.get(f"{portal.url}/api/v1/me", headers=bearer(token["access_token"]), timeout=DEADLINE)
        assert ended.status_code == 401
    with RequestsSession(client=BackendApplicationClient(client_id=client.id)) as session:
        session.fetch_token(f"{portal.url}/oauth/token", auth=client)
        assert session.get(f"{portal.url}/api/v1/me").json()["client_id"] == client.id


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
