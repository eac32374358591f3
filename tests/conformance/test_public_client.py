"""The public client, which has no secret: it may name itself by Basic with an empty password (RFC 6749 §2.3.1)."""

from typing import Any, Final

import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from requests_oauthlib import OAuth2Session as RequestsSession

from tests.oauth_client import ENDED, ClientKey, OAuthClient, basic, is_oauth_answer, json_of
from tests.portal import Portal

pytestmark = pytest.mark.finding("H37")

OWNER: Final = "public@example.com"
PUBLIC: Final[list[tuple[str | None, dict[str, str]]]] = [
    (None, {"client_id": "portal"}),
    (None, {"client_id": "portal", "client_secret": ""}),
    (basic("portal", ""), {}),
    (basic("portal", ""), {"client_id": "portal"}),
    (basic("portal", ""), {"client_id": "portal", "client_secret": ""}),
    (basic("%70ortal", ""), {}),
    (basic("portal", "").replace("Basic ", "bAsIc  "), {}),
]
"""Ways in which it says who it is: Authorization header and form."""
OTHERS: Final[list[tuple[str | None, dict[str, str], int]]] = [
    (basic("portal", "x"), {}, 401),
    (basic("portal", " "), {}, 401),
    (basic("portal", "%20"), {}, 401),
    (basic("portal", ":"), {}, 401),
    (basic("PORTAL", ""), {}, 401),
    (basic("portal ", ""), {}, 401),
    (basic("", ""), {}, 401),
    (basic("", "portal"), {}, 401),
    ("Basic cG9ydGFs", {}, 401),  # portal, without a colon
    (None, {"client_id": "portal", "client_secret": "x"}, 401),
    (None, {"client_id": "key_0000000000000000000000"}, 401),
    (basic("portal", ""), {"client_id": "key_0000000000000000000000"}, 400),
    (basic("portal", ""), {"client_secret": "x"}, 400),
    (basic("key_0000000000000000000000", ""), {"client_id": "portal"}, 400),
]


@pytest.fixture(scope="module", autouse=True)
def owner(portal: Portal) -> str:
    return portal.make_developer(OWNER)


@pytest.fixture
def pair(portal: Portal, oauth_client: OAuthClient) -> dict[str, Any]:
    portal.forget_guesses()
    return oauth_client.log_in(OWNER)


def headers(authorization: str | None) -> dict[str, Any]:
    return {"Authorization": authorization} if authorization else {}


@pytest.mark.parametrize(("authorization", "form"), PUBLIC)
def test_the_public_client_refreshes_and_revokes(
    oauth_client: OAuthClient, pair: dict[str, Any], authorization: str | None, form: dict[str, str]
) -> None:
    renewed = oauth_client.refresh(pair["refresh_token"], **form, **headers(authorization))
    assert renewed.status == 200
    token = json_of(renewed)["refresh_token"]
    ended = oauth_client.form("/oauth/revoke", {"token": token, **form}, **headers(authorization))
    assert ended.status == 200
    assert oauth_client.wait_for_refusal(json_of(renewed)["access_token"]) in ENDED


@pytest.mark.parametrize(("authorization", "form", "status"), OTHERS)
def test_a_public_client_that_claims_a_secret_is_refused_and_spends_nothing(
    oauth_client: OAuthClient, pair: dict[str, Any], authorization: str | None, form: dict[str, str], status: int
) -> None:
    for answer in (
        oauth_client.token({"grant_type": "refresh_token", **pair, **form}, **headers(authorization)),
        oauth_client.form("/oauth/revoke", {"token": pair["refresh_token"], **form}, **headers(authorization)),
    ):
        is_oauth_answer(answer)
        assert answer.status == status
        assert json_of(answer)["error"] == ("invalid_client" if status == 401 else "invalid_request")
    assert oauth_client.refresh(pair["refresh_token"]).status == 200


def test_without_a_secret_nothing_else_is_to_be_had(oauth_client: OAuthClient, pair: dict[str, Any]) -> None:
    nobody = headers(basic("portal", ""))
    assert oauth_client.token({"grant_type": "client_credentials"}, **nobody).status == 401
    assert oauth_client.form("/oauth/introspect", {"token": pair["access_token"]}, **nobody).status == 401
    assert oauth_client.form("/oauth/revoke", {"token": pair["access_token"]}).status == 401  # which says nobody


def test_at_the_other_entry_point_the_token_is_all_that_counts(oauth_client: OAuthClient, pair: dict[str, Any]) -> None:
    body = {"refresh_token": pair["refresh_token"]}
    assert oauth_client.post("/api/v1/tokens/refresh", body, Authorization=basic("portal", "")).status == 200


def test_a_client_s_id_and_secret_may_be_percent_encoded(portal: Portal, oauth_client: OAuthClient) -> None:
    client = ClientKey(*portal.make_key(OWNER))
    encoded = basic(client.id.replace("_", "%5F"), client.secret.replace("_", "%5f"))
    assert oauth_client.token({"grant_type": "client_credentials"}, Authorization=encoded).status == 200


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_authlib_refreshes_by_itself_as_the_public_client(
    portal: Portal, oauth_client: OAuthClient, method: str
) -> None:
    pair = oauth_client.log_in(OWNER)
    with AuthlibSession("portal", "", token_endpoint_auth_method=method) as session:
        renewed = session.refresh_token(f"{portal.url}/oauth/token", refresh_token=pair["refresh_token"])
        assert oauth_client.me(renewed["access_token"]).status == 200
        ended = session.revoke_token(f"{portal.url}/oauth/revoke", token=renewed["refresh_token"])
        assert ended.status_code == 200
    assert oauth_client.wait_for_refusal(renewed["access_token"]) in ENDED


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_requests_oauthlib_refreshes_by_basic_without_a_password(
    portal: Portal, oauth_client: OAuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with RequestsSession("portal", token=oauth_client.log_in(OWNER)) as session:
        renewed = session.refresh_token(f"{portal.url}/oauth/token", auth=("portal", ""))
    assert oauth_client.me(renewed["access_token"]).status == 200
