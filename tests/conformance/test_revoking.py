"""Revocation: RFC 7009 and `DELETE /api/v1/tokens`."""

from functools import partial
from typing import Any

import pytest

from tests.oauth_client import (
    ENDED,
    FORGET_GUESSES,
    ClientKey,
    OAuthClient,
    is_oauth_answer,
    json_of,
    repeat_until_limited,
)
from tests.portal import Answer, Portal
from tests.staleness import wait_until_refused
from vault.secret_format import new_secret

OWNER = "revoke@example.com"


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def client(portal: Portal, owner: str) -> ClientKey:
    return ClientKey(*portal.make_key(OWNER))


@pytest.fixture(scope="module")
def other(portal: Portal, owner: str) -> ClientKey:
    return ClientKey(*portal.make_key(OWNER))


@pytest.fixture
def pair(owner: str, oauth_client: OAuthClient) -> dict[str, Any]:
    return oauth_client.log_in(OWNER)


def as_portal(oauth_client: OAuthClient, token: str, **parameters: str) -> Answer:
    answer = oauth_client.form("/oauth/revoke", {"token": token, "client_id": "portal", **parameters})
    is_oauth_answer(answer)
    return answer


def delete(portal: Portal, credential: str) -> Answer:
    return portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {credential}"})


@pytest.mark.conformance("RV-01")
@pytest.mark.conformance("RV-06")
@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_either_token_of_a_log_in_ends_both(oauth_client: OAuthClient, pair: dict[str, Any], which: str) -> None:
    assert (as_portal(oauth_client, pair[which]).status, as_portal(oauth_client, pair[which]).body) == (200, b"{}")
    assert oauth_client.wait_for_refusal(pair["access_token"]) == "revoked"
    assert json_of(oauth_client.refresh(pair["refresh_token"]))["error"] == "invalid_grant"


@pytest.mark.conformance("RV-01")
def test_a_client_ends_its_access_token_and_its_own_key(portal: Portal, oauth_client: OAuthClient, owner: str) -> None:
    client = ClientKey(*portal.make_key(OWNER))
    token, bystander = oauth_client.client_token(client), oauth_client.client_token(client)
    assert oauth_client.form("/oauth/revoke", {"token": token}, client=client).status == 200
    assert oauth_client.wait_for_refusal(token) == "revoked"
    assert oauth_client.me(bystander).status == 200
    assert oauth_client.form("/oauth/revoke", {"token": client.secret}, client=client).status == 200
    assert oauth_client.wait_for_refusal(client.secret) == "revoked"
    assert oauth_client.wait_for_refusal(bystander) == "revoked"


@pytest.mark.conformance("RV-02")
def test_what_is_no_token_or_no_longer_is_answered_alike(
    oauth_client: OAuthClient, client: ClientKey, pair: dict[str, Any]
) -> None:
    as_portal(oauth_client, pair["refresh_token"])
    texts = ["x", "a.b.c", new_secret("kp", "refresh"), new_secret("kp", "live"), pair["access_token"] + "x", "\0", "é"]
    answers = [oauth_client.form("/oauth/revoke", {"token": text}, client=client) for text in texts]
    answers.append(as_portal(oauth_client, pair["refresh_token"]))
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"{}")}


@pytest.mark.conformance("RV-03")
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "banana"])
def test_a_hint_is_only_a_hint(oauth_client: OAuthClient, pair: dict[str, Any], hint: str) -> None:
    assert as_portal(oauth_client, pair["access_token"], token_type_hint=hint).status == 200
    assert oauth_client.wait_for_refusal(pair["access_token"]) in ENDED


@pytest.mark.conformance("RV-04")
def test_the_client_comes_first_and_then_the_token(
    oauth_client: OAuthClient, client: ClientKey, pair: dict[str, Any]
) -> None:
    nobody = oauth_client.form("/oauth/revoke", {"token": pair["access_token"]})
    assert (nobody.status, json_of(nobody)["error"]) == (401, "invalid_client")
    assert oauth_client.me(pair["access_token"]).status == 200
    nothing = oauth_client.form("/oauth/revoke", {}, client=client)
    assert (nothing.status, json_of(nothing)["error"]) == (400, "invalid_request")


@pytest.mark.conformance("RV-05")
def test_what_another_client_holds_can_not_be_ended(
    oauth_client: OAuthClient, client: ClientKey, other: ClientKey, pair: dict[str, Any]
) -> None:
    theirs = oauth_client.client_token(other)
    for token in (theirs, other.secret, pair["refresh_token"], pair["access_token"]):
        answer = oauth_client.form("/oauth/revoke", {"token": token}, client=client)
        is_oauth_answer(answer)
        assert (answer.status, json_of(answer)["error"]) == (400, "invalid_grant")
    assert json_of(as_portal(oauth_client, theirs))["error"] == "invalid_grant"
    for token in (theirs, other.secret, pair["access_token"]):
        assert oauth_client.me(token).status == 200
    assert oauth_client.refresh(pair["refresh_token"]).status == 200


def status_of(oauth_client: OAuthClient, token: str) -> int:
    return oauth_client.me(token).status


@pytest.mark.conformance("RV-07")
def test_a_revocation_holds_on_every_worker_at_once(oauth_client: OAuthClient, client: ClientKey) -> None:
    """On SQLite at the next request; on PostgreSQL as soon as every worker has heard."""
    for _ in range(5):
        token = oauth_client.client_token(client)
        assert {oauth_client.me(token).status for _ in range(6)} == {200}  # every worker has it cached by now
        oauth_client.form("/oauth/revoke", {"token": token}, client=client)
        wait_until_refused(partial(status_of, oauth_client, token))


@pytest.mark.conformance("RV-09")
def test_revocation_takes_post_only(portal: Portal, oauth_client: OAuthClient, pair: dict[str, Any]) -> None:
    answer = portal.get(f"/oauth/revoke?token={pair['access_token']}&client_id=portal&callback=x")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert oauth_client.form(f"/oauth/revoke?token={pair['access_token']}", {"client_id": "portal"}).status == 400
    assert oauth_client.me(pair["access_token"]).status == 200


@pytest.mark.conformance("RV-10")
def test_a_flood_of_one_client_is_stopped_and_others_pass(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey, other: ClientKey
) -> None:
    answer = repeat_until_limited(lambda: oauth_client.form("/oauth/revoke", {"token": "x"}, client=client), amount=300)
    is_oauth_answer(answer)
    assert int(answer.headers["retry-after"]) > 0
    assert oauth_client.form("/oauth/revoke", {"token": "x"}, client=other).status == 200
    portal.shell(FORGET_GUESSES)


@pytest.mark.conformance("RV-11")
@pytest.mark.conformance("RV-12")
@pytest.mark.conformance("RV-13")
def test_delete_ends_the_log_in_that_calls_it_and_no_other(
    portal: Portal, oauth_client: OAuthClient, pair: dict[str, Any]
) -> None:
    bystander = oauth_client.log_in(OWNER)
    answer = delete(portal, pair["access_token"])
    assert (answer.status, answer.body) == (204, b"")
    assert oauth_client.wait_for_refusal(pair["access_token"]) in ENDED
    assert oauth_client.refresh(pair["refresh_token"]).status == 400
    again = delete(portal, pair["access_token"])
    assert again.status == 401
    assert 'error="invalid_token"' in again.headers["www-authenticate"]
    assert oauth_client.me(bystander["access_token"]).status == 200
    assert oauth_client.refresh(bystander["refresh_token"]).status == 200


def test_delete_with_a_secret_revokes_its_key_and_the_tokens_it_was_swapped_for(
    portal: Portal, oauth_client: OAuthClient, owner: str
) -> None:
    client = ClientKey(*portal.make_key(OWNER))
    token = oauth_client.client_token(client)
    assert delete(portal, client.secret).status == 204
    assert [oauth_client.wait_for_refusal(credential) for credential in (client.secret, token)] == [
        "revoked",
        "revoked",
    ]
    event = portal.shell(f"e = Event.objects.get(verb='key_revoked', subject_id='{client.id}'); print(e.actor)")
    assert event == f"key:{client.id}"


def test_delete_with_a_token_of_a_key_ends_that_token_alone(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey
) -> None:
    token, bystander = oauth_client.client_token(client), oauth_client.client_token(client)
    assert delete(portal, token).status == 204
    assert oauth_client.wait_for_refusal(token) == "revoked"
    assert [oauth_client.me(credential).status for credential in (bystander, client.secret)] == [200, 200]


@pytest.mark.parametrize("credential", ["x", "a.b.c", "kp_live_x", "kp_refresh_x"])
def test_delete_with_no_credential_of_ours_is_refused(portal: Portal, credential: str) -> None:
    assert delete(portal, credential).status == 401
