"""nginx's workers come and go, and so does what they report: every call is counted once, and no change is missed."""

import os
import signal
from collections import Counter
from functools import partial
from typing import Any

import pytest

from tests.clients.stub import Reply, problem
from tests.edges import WORKERS, Edge
from tests.gateway.feed_portal import TAGS, FeedPortal, edge, feed, running, secret
from tests.waiting import wait_until

__all__ = ["edge", "feed", "running", "secret"]  # fixtures

pytestmark = [pytest.mark.once, pytest.mark.edge]

PATH = "/reports/1"
ADMIN = "/writers/1"


def call(edge: Edge, secret: str, path: str, times: int) -> None:
    """Send requests over connections of their own, so that both workers have some."""
    assert {edge.status(path, secret) for _ in range(times)} == {200 if path == PATH else 403}


def counted(feed: FeedPortal) -> Counter[str]:
    """Return how many calls of the key were stored, by outcome."""
    counts: Counter[str] = Counter()
    for entry in entries(feed):
        counts[entry["outcome"]] += entry["count"]
    return counts


def entries(feed: FeedPortal) -> list[dict[str, Any]]:
    """Return what was stored of this test's key: of another one something may still come."""
    every = [entry for batch in feed.batches for entry in batch["calls"]]
    return [entry for entry in every if entry["credential"] == feed.record["id"]]


def stored(feed: FeedPortal) -> set[str]:
    """Return the ids of the batches that were stored: some have what is left of the test before."""
    return {batch["batch"] for batch in feed.batches}


def has_replaced(edge: Edge, worker: int) -> bool:
    """Return whether another worker is there in the place of this one."""
    now = edge.workers()
    return worker not in now and len(now) == WORKERS


def test_what_nginx_judges_is_counted_once(feed: FeedPortal, edge: Edge, secret: str) -> None:
    feed.change(TAGS[0], scopes=["reports:read"])
    call(edge, secret, PATH, 21)
    call(edge, secret, ADMIN, 7)
    wait_until(lambda: counted(feed).total() >= 27)
    assert counted(feed) == {"accepted": 20, "insufficient_scope": 7}  # the portal counted the first
    assert {entry["entry_point"] for entry in entries(feed)} == {"nginx"}
    for entry in entries(feed):
        is_good = entry["outcome"] == "accepted"
        assert entry.get("secret") == (feed.record["secret_id"] if is_good else None)
        assert entry.get("addresses") == (["127.0.0.1"] if is_good else None)


def test_a_batch_is_sent_until_it_is_stored(feed: FeedPortal, edge: Edge, secret: str) -> None:
    call(edge, secret, PATH, 2)
    feed.broken = {"/api/v1/usage": problem(503, "unavailable")}
    wait_until(lambda: len(feed.sent) > len(set(feed.sent)))
    call(edge, secret, PATH, 10)
    unstored = set(feed.sent)
    feed.broken = {"/api/v1/usage": Reply(0)}
    wait_until(lambda: len(feed.sent) > 2 * len(unstored))
    feed.broken = {}
    wait_until(lambda: counted(feed).total() >= 11)
    assert counted(feed) == {"accepted": 11}
    wait_until(lambda: unstored <= stored(feed))
    assert len(stored(feed)) == len(feed.batches)


def test_while_no_batch_is_taken_a_key_that_changes_needs_no_more_room(
    feed: FeedPortal, edge: Edge, secret: str
) -> None:
    feed.broken = {"/api/v1/usage": problem(503, "unavailable")}
    for _ in range(8):
        feed.change(TAGS[0])
        call(edge, secret, PATH, 6)
    feed.broken = {}
    wait_until(lambda: counted(feed).total() >= 48 - feed.asked)
    assert counted(feed) == {"accepted": 48 - feed.asked}
    of_hours = Counter(entry["hour"] for entry in entries(feed))
    assert max(of_hours.values()) <= 2 * WORKERS  # the batch that was on its way, and the next


def test_a_batch_that_will_never_be_taken_does_not_hold_up_the_others(
    feed: FeedPortal, edge: Edge, secret: str
) -> None:
    feed.broken = {"/api/v1/usage": problem(400, "validation")}
    call(edge, secret, PATH, 5)
    wait_until(lambda: feed.sent)
    wait_until(lambda: "the portal refuses a question (validation)" in edge.log())
    feed.wait_for_polls()
    feed.broken, refused = {}, set(feed.sent)

    def is_stored() -> bool:
        call(edge, secret, PATH, 1)
        return bool(feed.batches)

    wait_until(is_stored)
    assert not refused & {batch["batch"] for batch in feed.batches}


def test_a_reload_loses_neither_counts_nor_records(feed: FeedPortal, edge: Edge, secret: str) -> None:
    call(edge, secret, PATH, 11)
    edge.reload()
    call(edge, secret, PATH, 10)
    edge.reload()
    assert feed.asked == 1
    wait_until(lambda: counted(feed).total() >= 20)
    assert counted(feed) == {"accepted": 20}
    feed.change(TAGS[1], revoked_at="2026-01-01T00:00:00Z")
    assert {edge.status(PATH, secret) for _ in range(12)} == {401}


def test_what_a_worker_can_not_report_at_its_end_the_others_report(feed: FeedPortal, edge: Edge, secret: str) -> None:
    feed.broken = {"/api/v1/usage": problem(503, "unavailable")}
    call(edge, secret, PATH, 11)
    edge.reload()
    feed.broken, attempted = {}, set(feed.sent)
    wait_until(lambda: counted(feed).total() >= 10)
    assert counted(feed) == {"accepted": 10}
    wait_until(lambda: attempted <= stored(feed))


def test_if_the_worker_that_polls_stands_still_another_goes_on(feed: FeedPortal, edge: Edge, secret: str) -> None:
    """What the first one still wants to tell when it can go on has no effect."""
    call(edge, secret, PATH, 5)
    for worker in edge.workers():
        os.kill(worker, signal.SIGSTOP)
        try:
            feed.wait_for_polls()
            feed.change(TAGS[0], scopes=["reports:write"])
            call(edge, secret, "/writers/1", 5)
        finally:
            os.kill(worker, signal.SIGCONT)
        feed.change(TAGS[0], scopes=["reports:read"])
        call(edge, secret, PATH, 12)
    assert feed.asked == 1 + 2 * WORKERS


def test_if_the_worker_that_polls_is_killed_another_goes_on(feed: FeedPortal, edge: Edge, secret: str) -> None:
    call(edge, secret, PATH, 5)
    for worker in edge.workers():
        os.kill(worker, signal.SIGKILL)
        wait_until(partial(has_replaced, edge, worker))
        feed.wait_for_polls()
        call(edge, secret, PATH, 5)
    feed.change(TAGS[0], revoked_at="2026-01-01T00:00:00Z")
    assert {edge.status(PATH, secret) for _ in range(12)} == {401}
