"""`GET /api/v1/changes`: what verifiers elsewhere have to forget, asked of any worker."""

from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import Answer, Portal
from tests.waiting import wait_until

OWNER = "changes@example.com"
VERBS = (
    "from accounts import services as accounts; from apikeys import services; from audit.origin import Origin; "
    "o = Origin.of_command('test'); "
)
PAUSE = "services.pause(key=key, reason={reason!r}, until=None, by_operator=True, origin=o)"
PAUSE_ANEW = "services.resume(key=key, by_operator=True, origin=o); key.refresh_from_db(); " + PAUSE


class Feed(NamedTuple):
    """The feed, as a service asks for it: over a connection of its own each time, and so any worker."""

    portal: Portal
    service: ClientKey

    def ask(self, query: str = "", **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.service.secret}", **headers}
        return self.portal.get(f"/api/v1/changes{query}", **sent)

    def since(self, cursor: str) -> dict[str, Any]:
        return json_of(self.ask(f"?since={quote(cursor)}"))

    def head(self) -> str:
        """Return a cursor that every worker knows, after all that has been committed so far."""
        cursor = ""

        def is_known() -> bool:
            nonlocal cursor
            answer = self.since(cursor) if cursor else json_of(self.ask())
            former, cursor = cursor, str(answer.get("cursor", ""))
            return bool(former) and "tags" in answer

        for _ in range(4):  # two workers, and whichever answers
            wait_until(is_known)
        return cursor

    def follow(self, cursor: str, *, until: Any) -> str:
        """Follow the feed until what it named is enough; return the cursor. It never resets meanwhile."""
        tags: list[str] = []

        def is_enough() -> bool:
            nonlocal cursor
            answer = self.since(cursor)
            assert "reset" not in answer
            tags.extend(answer["tags"])
            cursor = answer["cursor"]
            return bool(until(tags))

        wait_until(is_enough)
        return cursor


@pytest.fixture(scope="module")
def feed(portal: Portal) -> Feed:
    portal.make_developer(OWNER)
    made = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted", name="a service")
    return Feed(portal, ClientKey(*made))


def test_the_first_answer_forgets_everything_and_has_a_cursor(feed: Feed) -> None:
    feed.head()
    answer = feed.ask()
    assert json_of(answer).keys() == {"cursor", "as_of_ms", "reset"}
    assert json_of(answer)["as_of_ms"] < 2000
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == ("no-store", "application/json")


def test_a_change_is_named_whichever_worker_is_asked(feed: Feed) -> None:
    cursor = feed.head()
    key = ClientKey(*feed.portal.make_key(OWNER, name="to be revoked"))
    feed.portal.revoke_key(key.id)
    cursor = feed.follow(cursor, until=lambda tags: f"key:{key.id}" in tags)
    assert feed.since(cursor)["tags"] == []


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        (PAUSE.format(reason=""), "key:{key}"),
        ("KeySecret.objects.filter(key=key).update(retires_at=key.created_at)", "key:{key}"),
        ("accounts.deactivate_user(user=key.owner, origin=o)", "user:{owner}"),
        ("accounts.end_all_tokens(user=key.owner, origin=o)", "user:{owner}"),
    ],
)
def test_whatever_a_verdict_depends_on_is_named(feed: Feed, change: str, tag: str) -> None:
    owner = feed.portal.make_developer(f"changes-{abs(hash(change))}@example.com")
    key, _ = feed.portal.make_key(f"changes-{abs(hash(change))}@example.com")
    cursor = feed.head()
    feed.portal.shell(f"{VERBS}key = APIKey.objects.get(pk='{key}'); {change}")
    feed.follow(cursor, until=lambda tags: tag.format(key=key, owner=owner) in tags)


def test_a_token_that_is_ended_is_named(feed: Feed, oauth_client: OAuthClient) -> None:
    feed.portal.forget_guesses()
    tokens = oauth_client.log_in(OWNER)
    record = verify(feed, tokens["access_token"])["record"]
    cursor = feed.head()
    ended = feed.portal.request(
        "DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert ended.status == 204
    feed.follow(cursor, until=lambda tags: set(record["tags"]) & set(tags))


def test_a_change_of_the_catalogue_concerns_everybody(feed: Feed) -> None:
    cursor = feed.head()
    feed.portal.shell("Scope.objects.create(name='changes:all', description='all')")
    wait_until(lambda: feed.since(cursor).get("reset"))


def test_a_record_is_no_older_than_the_cursor_beside_it(feed: Feed) -> None:
    """Otherwise a verifier would keep what the feed will not name again."""
    key = ClientKey(*feed.portal.make_key(OWNER, name="asked about"))
    cursor = feed.head()
    for reason in ("first", "second", "third"):
        feed.portal.shell(f"{VERBS}key = APIKey.objects.get(pk='{key.id}'); {PAUSE_ANEW.format(reason=reason)}")
        cursor = feed.follow(cursor, until=lambda tags: tags.count(f"key:{key.id}") > 0)
        assert verify(feed, key.secret)["record"]["paused_reason"] == reason


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", "0123456789abcdef.1.0.00", "0123456789abcdef.99999999999999999999.0.00", "....", "0" * 128],
)
def test_a_cursor_from_elsewhere_forgets_everything(feed: Feed, cursor: str) -> None:
    feed.head()
    assert wait_until(lambda: feed.since(cursor)).get("reset") is True


@pytest.mark.parametrize("further", [1000, 2**63, 10**19 - 10**9])
def test_a_cursor_that_leads_too_far_forgets_everything(feed: Feed, further: int) -> None:
    """As after a backup was put in the database's place. At first the changes might still be on their way."""
    identity, number, part, nonce = feed.head().split(".")
    ahead = f"{identity}.{int(number) + further}.{part}.{nonce}"
    wait_until(lambda: feed.since(ahead).get("reset"))


def test_a_cursor_with_another_nonce_forgets_everything(feed: Feed) -> None:
    identity, number, part, _ = feed.head().split(".")
    wait_until(lambda: feed.since(f"{identity}.{number}.{part}.{'0' * 16}").get("reset"))


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("?since=a&since=b", "since"), (f"?since={'a' * 129}", "since"), ("?sinc=a", "sinc"), ("?since=a&all=1", "all")],
)
def test_a_mistake_in_the_query_is_named(feed: Feed, query: str, pointer: str) -> None:
    answer = feed.ask(query)
    assert answer.status == 400
    assert [error["pointer"] for error in json_of(answer)["errors"]] == [f"/{pointer}"]


def test_only_services_are_told(feed: Feed, portal: Portal) -> None:
    _, other = portal.make_key(OWNER, name="not a service")
    assert portal.get("/api/v1/changes").status == 401
    refused = feed.ask(Authorization=f"Bearer {other}")
    assert (refused.status, json_of(refused)["code"]) == (403, "insufficient_scope")
    assert portal.request("POST", "/api/v1/changes", headers={"Authorization": f"Bearer {other}"}).status == 405
    assert json_of(feed.ask(Accept="application/json;q=0.5"))["cursor"]  # Django answers this one


def verify(feed: Feed, credential: str, **more: object) -> dict[str, Any]:
    body = {"credential": credential, "record": True, **more}
    answer = OAuthClient(feed.portal).post("/api/v1/verify", body, Authorization=f"Bearer {feed.service.secret}")
    assert answer.status == 200
    return json_of(answer)
