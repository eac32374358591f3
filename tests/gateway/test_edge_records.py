"""nginx judges by its records for as long as it knows of every change; else it asks (docs/change-feed.md)."""

import json
import time
from datetime import timedelta
from typing import Any, Final

import jwt
import pytest
from django.utils import timezone

from accounts.times import rfc3339
from tests.edges import Edge
from tests.gateway.feed_portal import IDENTITY, PATH, TAGS, FeedPortal, edge, feed, running, secret, statuses
from tests.portal import ROOT
from tests.waiting import wait_until

__all__ = ["edge", "feed", "running", "secret"]  # fixtures

pytestmark = [pytest.mark.once, pytest.mark.edge]

VECTORS: Final = json.loads((ROOT / "tests/vault/vectors.json").read_text())


def assertion(ends_at: float) -> str:
    """Return a token that ends then; nobody here checks who signed it."""
    return jwt.encode({"exp": int(ends_at)}, "k" * 32, "HS256")


def test_one_answer_is_good_for_all_workers_and_requests(feed: FeedPortal, edge: Edge, secret: str) -> None:
    assert statuses(edge, secret) == {200}
    [question] = feed.questions
    assert question == {"credential": secret, "record": True, "client_ip": "127.0.0.1", "scopes": ["reports:read"]}


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
        ("2001:db8:0:1:0:0:0:0", "2001:db8:0:1::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
    ],
)
def test_an_address_is_told_as_the_portal_writes_it(
    feed: FeedPortal, edge: Edge, secret: str, address: str, told: str
) -> None:
    for _ in range(2):
        assert edge.request("/proxied/", secret, f"X-Real-IP: {address}").status == 200
    [question] = feed.questions
    assert question["client_ip"] == told
    wait_until(lambda: [told] in [entry.get("addresses") for batch in feed.batches for entry in batch["calls"]])


def test_the_header_may_be_written_in_other_ways(feed: FeedPortal, edge: Edge, secret: str) -> None:
    for header in (
        f"Bearer {secret}",
        f"bearer {secret}",
        f"BEARER   {secret}  ",
        f"Bearer  {secret}",
        f"Bearer {secret} ",
    ):
        assert edge.request(PATH, "", f"Authorization: {header}").status == 200
    assert feed.asked == 1


def test_what_a_proxy_on_the_way_sends_in_chunks_is_read(feed: FeedPortal, edge: Edge, secret: str) -> None:
    feed.sends_chunks = True
    assert statuses(edge, secret) == {200}
    feed.change(TAGS[0], revoked_at="2026-01-01T00:00:00Z")
    assert statuses(edge, secret) == {401}
    assert feed.asked == 2


def test_a_location_with_other_requirements_judges_by_the_same_record(
    feed: FeedPortal, edge: Edge, secret: str
) -> None:
    assert edge.status(PATH, secret) == 200
    assert edge.status("/writers/1", secret) == 200
    feed.change(TAGS[0], scopes=["reports:read"])
    assert edge.status(PATH, secret) == 200
    assert edge.status("/writers/1", secret) == 403
    assert feed.asked == 2


@pytest.mark.parametrize("tag", TAGS)
def test_a_change_is_heard_by_all_workers(feed: FeedPortal, edge: Edge, secret: str, tag: str) -> None:
    assert statuses(edge, secret) == {200}
    feed.change(tag, revoked_at="2026-01-01T00:00:00Z")
    assert statuses(edge, secret) == {401}
    assert feed.asked == 2  # the record of a key that is revoked is good, too


def test_a_change_of_something_else_changes_nothing(feed: FeedPortal, edge: Edge, secret: str) -> None:
    assert statuses(edge, secret) == {200}
    feed.change("key:key_of_another", f"{TAGS[0]}x", revoked_at="2026-01-01T00:00:00Z")
    assert statuses(edge, secret) == {200}
    assert feed.asked == 1


def test_of_more_changes_than_are_kept_none_is_missed(feed: FeedPortal, edge: Edge, secret: str) -> None:
    assert statuses(edge, secret) == {200}
    feed.change(TAGS[0], revoked_at="2026-01-01T00:00:00Z")
    feed.change(*(f"key:{number}" for number in range(1500)))
    assert statuses(edge, secret) == {401}


def test_after_a_reset_everything_is_asked_anew(feed: FeedPortal, edge: Edge, secret: str) -> None:
    for _ in range(3):
        feed.change("key:key_of_another")  # so that there is something to forget
    assert statuses(edge, secret) == {200}
    feed.record["revoked_at"] = "2026-01-01T00:00:00Z"
    feed.reset()
    assert statuses(edge, secret) == {401}
    feed.change("key:key_of_another")
    assert statuses(edge, secret) == {401}
    assert feed.asked == 2


@pytest.mark.parametrize(
    "said",
    [
        {"cursor": f"{IDENTITY}.0.0.ab"},
        {"cursor": "fedcba9876543210.999.0.ab"},
        {"cursor": None},
        {"record": None},
        {"record": {"format": 2, "asks_each_time": False}},
    ],
)
def test_what_may_lack_a_change_is_not_kept(feed: FeedPortal, edge: Edge, secret: str, said: dict[str, Any]) -> None:
    feed.more = said
    assert statuses(edge, secret) == {200}
    assert feed.asked == 12
    assert edge.call(PATH, secret).header("x-keyportal-key") == feed.record["id"]


def test_a_key_whose_calls_the_portal_counts_is_asked_about_each_time(
    feed: FeedPortal, edge: Edge, secret: str
) -> None:
    feed.record["asks_each_time"] = True
    assert statuses(edge, secret) == {200}
    assert feed.asked == 12


def test_a_record_is_not_kept_if_everything_was_forgotten_meanwhile(feed: FeedPortal, edge: Edge, secret: str) -> None:
    feed.before_answer = feed.reset
    feed.more = {"cursor": f"{IDENTITY}.999999.0.ab"}  # as late as can be
    assert edge.status(PATH, secret) in (200, 503)
    feed.before_answer, before = int, feed.asked
    assert edge.status(PATH, secret) == 200
    assert feed.asked == before + 1


def test_what_is_no_secret_is_refused_without_a_call(feed: FeedPortal, edge: Edge, secret: str) -> None:
    """Of the published vectors (docs/secret-format.md), and what else is none."""
    for vector in VECTORS["bad"]:
        if vector["secret"].isprintable():
            assert edge.status(PATH, vector["secret"]) == 401, vector
    for wrong in (
        secret[:-1],
        f"{secret}0",
        secret.upper(),
        f"{secret[:20]}{secret[21]}{secret[20]}{secret[22:]}",
        "a.b",
    ):
        assert wrong == secret or edge.status(PATH, wrong) == 401, wrong
    assert feed.asked == 0


def test_what_may_be_a_credential_is_asked_about(feed: FeedPortal, edge: Edge) -> None:
    good = [*(vector["secret"] for vector in VECTORS["good"]), "eyJh.eyJp._-sig"]
    assert {edge.status(PATH, credential) for credential in good} == {200}
    assert feed.asked == len(good)


def test_an_assertion_is_used_again_and_renewed_before_it_ends(feed: FeedPortal, edge: Edge, secret: str) -> None:
    soon, later = (assertion(time.time() + seconds) for seconds in (8, 60))
    feed.more = {"assertion": soon}
    assert edge.call("/signed/1", secret).header("x-keyportal-assertion") == soon
    feed.more = {"assertion": later}
    assert {edge.call("/signed/1", secret).header("x-keyportal-assertion") for _ in range(12)} == {later}
    assert 2 <= feed.asked <= 3  # each of the two workers may have had the one that ends soon
    assert feed.questions[0]["assertion"] == "https://reports.test"


def refused(code: str) -> dict[str, Any]:
    """Return what an answer says of a credential that is refused."""
    return {"valid": False, "code": code, "about": {"title": "x"}}


def test_where_an_assertion_is_needed_a_refusal_is_asked_for_once(feed: FeedPortal, edge: Edge, secret: str) -> None:
    for code, members, status in (
        ("network_refused", {"networks": ["192.0.2.0/24"]}, 403),
        ("revoked", {"revoked_at": "2026-01-01T00:00:00Z"}, 401),
    ):
        before, feed.more = feed.asked, refused(code)
        feed.change(TAGS[0], **members)
        assert {edge.status("/signed/1", secret) for _ in range(12)} == {status}
        assert feed.asked == before + 1


def test_who_is_good_again_by_the_clock_alone_gets_an_assertion(feed: FeedPortal, edge: Edge, secret: str) -> None:
    until, signed = timezone.now() + timedelta(seconds=2), assertion(time.time() + 60)
    feed.more = refused("paused")
    feed.change(TAGS[0], paused_at="2026-01-01T00:00:00Z", paused_until=rfc3339(until))
    assert edge.status("/signed/1", secret) == 401
    feed.more = {"assertion": signed}
    wait_until(lambda: edge.status("/signed/1", secret) == 200)
    assert {edge.call("/signed/1", secret).header("x-keyportal-assertion") for _ in range(12)} == {signed}


def test_without_an_assertion_nobody_gets_where_one_is_needed(feed: FeedPortal, edge: Edge, secret: str) -> None:
    for wrong in ({}, {"assertion": None}, {"assertion": "a.b.c"}):
        feed.more = wrong
        assert edge.status("/signed/1", secret) == 503
    assert edge.status(PATH, secret) == 200
