"""Revocation: RFC 7009 and `DELETE /api/v1/tokens`."""

from functools import partial
from typing import Any

import pytest

from tests.portal import Answer, Portal
from tests.speaker import ENDED, FORGET_GUESSES, Client, Speaker, asked_until_limited, is_oauth_answer, told
from tests.staleness import refused_everywhere
from vault.secret_format import new_secret

OWNER = "revoke@example.com"


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def client(portal: Portal, owner: str) -> Client:
    return Client(*portal.make_key(OWNER))


@pytest.fixture(scope="module")
def other(portal: Portal, owner: str) -> Client:
    return Client(*portal.make_key(OWNER))


@pytest.fixture
def pair(owner: str, speaker: Speaker) -> dict[str, Any]:
    return speaker.log_in(OWNER)


def as_portal(speaker: Speaker, token: str, **parameters: str) -> Answer:
    answer = speaker.form("/oauth/revoke", {"token": token, "client_id": "portal", **parameters})
    is_oauth_answer(answer)
    return answer


def delete(portal: Portal, credential: str) -> Answer:
    return portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {credential}"})


@pytest.mark.conformance("RV-01")
@pytest.mark.conformance("RV-06")
@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_either_token_of_a_log_in_ends_both(speaker: Speaker, pair: dict[str, Any], which: str) -> None:
    assert (as_portal(speaker, pair[which]).status, as_portal(speaker, pair[which]).body) == (200, b"{}")
    assert speaker.ended(pair["access_token"]) == "revoked"
    assert told(speaker.refresh(pair["refresh_token"]))["error"] == "invalid_grant"


@pytest.mark.conformance("RV-01")
def test_a_client_ends_its_access_token_and_its_own_key(portal: Portal, speaker: Speaker, owner: str) -> None:
    client = Client(*portal.make_key(OWNER))
    token, bystander = speaker.client_token(client), speaker.client_token(client)
    assert speaker.form("/oauth/revoke", {"token": token}, client=client).status == 200
    assert speaker.ended(token) == "revoked"
    assert speaker.me(bystander).status == 200
    assert speaker.form("/oauth/revoke", {"token": client.secret}, client=client).status == 200
    assert speaker.ended(client.secret) == "revoked"
    assert speaker.ended(bystander) == "revoked"


@pytest.mark.conformance("RV-02")
def test_what_is_no_token_or_no_longer_is_answered_alike(
    speaker: Speaker, client: Client, pair: dict[str, Any]
) -> None:
    as_portal(speaker, pair["refresh_token"])
    texts = ["x", "a.b.c", new_secret("kp", "refresh"), new_secret("kp", "live"), pair["access_token"] + "x", "\0", "é"]
    answers = [speaker.form("/oauth/revoke", {"token": text}, client=client) for text in texts]
    answers.append(as_portal(speaker, pair["refresh_token"]))
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"{}")}


@pytest.mark.conformance("RV-03")
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "banana"])
def test_a_hint_is_only_a_hint(speaker: Speaker, pair: dict[str, Any], hint: str) -> None:
    assert as_portal(speaker, pair["access_token"], token_type_hint=hint).status == 200
    assert speaker.ended(pair["access_token"]) in ENDED


@pytest.mark.conformance("RV-04")
def test_the_client_comes_first_and_then_the_token(speaker: Speaker, client: Client, pair: dict[str, Any]) -> None:
    nobody = speaker.form("/oauth/revoke", {"token": pair["access_token"]})
    assert (nobody.status, told(nobody)["error"]) == (401, "invalid_client")
    assert speaker.me(pair["access_token"]).status == 200
    nothing = speaker.form("/oauth/revoke", {}, client=client)
    assert (nothing.status, told(nothing)["error"]) == (400, "invalid_request")


@pytest.mark.conformance("RV-05")
def test_what_another_client_holds_can_not_be_ended(
    speaker: Speaker, client: Client, other: Client, pair: dict[str, Any]
) -> None:
    theirs = speaker.client_token(other)
    for token in (theirs, other.secret, pair["refresh_token"], pair["access_token"]):
        answer = speaker.form("/oauth/revoke", {"token": token}, client=client)
        is_oauth_answer(answer)
        assert (answer.status, told(answer)["error"]) == (400, "invalid_grant")
    assert told(as_portal(speaker, theirs))["error"] == "invalid_grant"
    for token in (theirs, other.secret, pair["access_token"]):
        assert speaker.me(token).status == 200
    assert speaker.refresh(pair["refresh_token"]).status == 200


def status_of(speaker: Speaker, token: str) -> int:
    return speaker.me(token).status


@pytest.mark.conformance("RV-07")
def test_a_revocation_holds_on_every_worker_at_once(speaker: Speaker, client: Client) -> None:
    """On SQLite at the next request; on PostgreSQL as soon as every worker has heard."""
    for _ in range(5):
        token = speaker.client_token(client)
        assert {speaker.me(token).status for _ in range(6)} == {200}  # every worker remembers it by now
        speaker.form("/oauth/revoke", {"token": token}, client=client)
        refused_everywhere(partial(status_of, speaker, token))


@pytest.mark.conformance("RV-09")
def test_revocation_takes_post_only(portal: Portal, speaker: Speaker, pair: dict[str, Any]) -> None:
    answer = portal.get(f"/oauth/revoke?token={pair['access_token']}&client_id=portal&callback=x")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert speaker.form(f"/oauth/revoke?token={pair['access_token']}", {"client_id": "portal"}).status == 400
    assert speaker.me(pair["access_token"]).status == 200


@pytest.mark.conformance("RV-10")
def test_a_flood_of_one_client_is_stopped_and_others_pass(
    portal: Portal, speaker: Speaker, client: Client, other: Client
) -> None:
    answer = asked_until_limited(lambda: speaker.form("/oauth/revoke", {"token": "x"}, client=client), amount=300)
    is_oauth_answer(answer)
    assert int(answer.headers["retry-after"]) > 0
    assert speaker.form("/oauth/revoke", {"token": "x"}, client=other).status == 200
    portal.shell(FORGET_GUESSES)


@pytest.mark.conformance("RV-11")
@pytest.mark.conformance("RV-12")
@pytest.mark.conformance("RV-13")
def test_delete_ends_the_log_in_that_calls_it_and_no_other(
    portal: Portal, speaker: Speaker, pair: dict[str, Any]
) -> None:
    bystander = speaker.log_in(OWNER)
    answer = delete(portal, pair["access_token"])
    assert (answer.status, answer.body) == (204, b"")
    assert speaker.ended(pair["access_token"]) in ENDED
    assert speaker.refresh(pair["refresh_token"]).status == 400
    again = delete(portal, pair["access_token"])
    assert again.status == 401
    assert 'error="invalid_token"' in again.headers["www-authenticate"]
    assert speaker.me(bystander["access_token"]).status == 200
    assert speaker.refresh(bystander["refresh_token"]).status == 200


def test_delete_with_a_secret_revokes_its_key_and_the_tokens_it_was_swapped_for(
    portal: Portal, speaker: Speaker, owner: str
) -> None:
    client = Client(*portal.make_key(OWNER))
    token = speaker.client_token(client)
    assert delete(portal, client.secret).status == 204
    assert [speaker.ended(credential) for credential in (client.secret, token)] == ["revoked", "revoked"]
    event = portal.shell(f"e = AuditEvent.objects.get(verb='key_revoked', subject_id='{client.id}'); print(e.actor)")
    assert event == f"key:{client.id}"


def test_delete_with_a_token_of_a_key_ends_that_token_alone(portal: Portal, speaker: Speaker, client: Client) -> None:
    token, bystander = speaker.client_token(client), speaker.client_token(client)
    assert delete(portal, token).status == 204
    assert speaker.ended(token) == "revoked"
    assert [speaker.me(credential).status for credential in (bystander, client.secret)] == [200, 200]


@pytest.mark.parametrize("credential", ["x", "a.b.c", "kp_live_x", "kp_refresh_x"])
def test_delete_with_no_credential_of_ours_is_refused(portal: Portal, credential: str) -> None:
    assert delete(portal, credential).status == 401
