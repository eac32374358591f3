"""Races about tokens between real requests on two workers, on SQLite and PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import portal_database
from tests.oauth_client import ENDED, FORGET_GUESSES, ClientKey, OAuthClient, json_of
from tests.parallel import all_at_once
from tests.portal import Portal

PARALLEL = 32
ROUNDS = 25


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[OAuthClient]:
    """A portal that refuses a token sent twice within half a minute without ending its log-in."""
    with portal_database(tmp_path) as database_url:
        with Portal(tmp_path, database_url, KEYPORTAL_REFRESH_GRACE="30").running() as portal:
            yield OAuthClient(portal)


def spend_at_once(oauth_client: OAuthClient, refresh_token: str) -> list[str]:
    """Spend one token many times at once, and return the successors; every other answer is `invalid_grant`."""
    answers = all_at_once(PARALLEL, lambda _: oauth_client.refresh(refresh_token))
    counted = Counter((answer.status, json_of(answer).get("error")) for answer in answers)
    assert counted == {(200, None): 1, (400, "invalid_grant"): PARALLEL - 1}
    return [json_of(answer)["refresh_token"] for answer in answers if answer.status == 200]


@pytest.mark.conformance("RF-12")
@pytest.mark.security("R-11")
def test_a_refresh_token_is_spent_exactly_once_each_time(lenient: OAuthClient) -> None:
    lenient.portal.make_developer("herd@example.com")
    refresh_token: str = lenient.log_in("herd@example.com")["refresh_token"]
    for _ in range(ROUNDS):
        (refresh_token,) = spend_at_once(lenient, refresh_token)
    live = lenient.portal.shell(
        "print(RefreshToken.objects.filter(used_at=None, family__ended_at=None).count(), RefreshToken.objects.count())"
    )
    assert live == f"1 {ROUNDS + 1}"
    assert lenient.refresh(refresh_token).status == 200


def test_without_grace_one_wins_and_a_later_use_ends_the_log_in(portal: Portal, oauth_client: OAuthClient) -> None:
    owner = portal.make_developer("strict@example.com")
    for _ in range(5):
        first: str = oauth_client.log_in("strict@example.com")["refresh_token"]
        (successor,) = spend_at_once(oauth_client, first)
        assert oauth_client.refresh(first).status == 400
        assert oauth_client.refresh(successor).status == 400
    reused = portal.shell(f"print(Event.objects.filter(verb='refresh_reuse', subject_id='{owner}').count())")
    assert reused == "5"


def test_many_revocations_at_once_all_succeed_and_are_one_event(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("ends@example.com")
    client = ClientKey(*portal.make_key("ends@example.com"))
    refresh_token: str = oauth_client.log_in("ends@example.com")["refresh_token"]
    access_token = oauth_client.client_token(client)
    log_in = {"token": refresh_token, "client_id": "portal"}
    answers = all_at_once(PARALLEL, lambda _: oauth_client.form("/oauth/revoke", log_in))
    answers += all_at_once(
        PARALLEL, lambda _: oauth_client.form("/oauth/revoke", {"token": access_token}, client=client)
    )
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"{}")}
    assert oauth_client.refresh(refresh_token).status == 400
    assert oauth_client.wait_for_refusal(access_token) in ENDED
    counted = portal.shell(
        "from collections import Counter; user = User.objects.get(email='ends@example.com'); "
        f"print(Event.objects.filter(verb='tokens_revoked', subject_id=user.pk).count(), "
        f"Event.objects.filter(verb='token_revoked', subject_id='{client.id}').count())"
    )
    assert counted == "1 1"


def test_guesses_at_many_workers_at_once_are_counted_together(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("guessed@example.com")
    portal.shell(FORGET_GUESSES)
    tries = all_at_once(PARALLEL, lambda number: oauth_client.password("guessed@example.com", f"guess {number}"))
    statuses = Counter(answer.status for answer in tries)
    assert set(statuses) == {401, 429}
    assert statuses[401] <= 10
    portal.shell(FORGET_GUESSES)
    assert oauth_client.password("guessed@example.com").status == 200
