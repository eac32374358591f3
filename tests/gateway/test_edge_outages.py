"""nginx while the portal does not answer as it should: what it lets in, what it says, and how often it asks."""

from functools import partial
from typing import Final

import pytest

from tests.clients.stub import Reply, as_json, problem
from tests.edges import Edge
from tests.gateway.feed_portal import PATH, SERVICE_KEY, FeedPortal, edge, feed, running, secret, statuses
from tests.waiting import wait_until
from vault.secret_format import new_secret

__all__ = ["edge", "feed", "running", "secret"]  # fixtures

pytestmark = [pytest.mark.once, pytest.mark.edge]

BROKEN: Final = {"/api/v1/changes": problem(503, "unavailable")}


def test_without_the_feed_it_asks_each_time(feed: FeedPortal, edge: Edge, secret: str) -> None:
    assert edge.status(PATH, secret) == 200
    feed.broken = dict(BROKEN)
    feed.record["revoked_at"] = "2026-01-01T00:00:00Z"
    wait_until(lambda: edge.status(PATH, secret) == 401)  # the lease has ended, and nothing was announced
    before = feed.asked
    assert statuses(edge, secret) == {401}
    assert feed.asked == before + 12
    assert "the portal can't answer now (status 503)" in edge.log()


def test_without_the_portal_it_is_503_and_never_401(feed: FeedPortal, edge: Edge, secret: str) -> None:
    assert edge.status(PATH, secret) == 200
    feed.broken = {**BROKEN, "/api/v1/verify": problem(503, "unavailable", retry_after="7")}
    answers = [edge.request(PATH, new_secret("kp", "live"))]

    def is_refused() -> bool:
        answers.append(edge.request(PATH, secret))
        return answers[-1].status != 200

    wait_until(is_refused)
    assert {(answer.status, answer.header("retry-after")) for answer in answers} <= {(200, ""), (503, "7")}
    assert answers[0].json["code"] == answers[-1].json["code"] == "unavailable"
    assert answers[-1].header("www-authenticate") == ""
    feed.broken = {}
    wait_until(lambda: statuses(edge, secret) == {200})


@pytest.mark.parametrize(
    "nonsense",
    [
        as_json({"valid": True}),
        as_json([]),
        Reply(200, b"<html>"),
        Reply(302, b"", headers={"Location": "https://elsewhere.example/"}),
        Reply(0),
    ],
)
def test_what_is_no_portal_lets_nobody_in(feed: FeedPortal, edge: Edge, secret: str, nonsense: Reply) -> None:
    feed.broken = {"/api/v1/verify": nonsense}
    assert statuses(edge, secret) == {503}
    feed.broken = {"/api/v1/changes": nonsense}
    assert statuses(edge, secret) <= {200, 503}  # where nobody answers, a second is waited
    feed.broken = {}
    wait_until(lambda: statuses(edge, secret) == {200})
    assert "no portal that this version knows" in edge.log()


def test_a_key_of_nginx_that_is_refused_is_said_and_a_new_one_is_read(
    feed: FeedPortal, edge: Edge, secret: str
) -> None:
    feed.service_key = new_secret("kp", "live")
    assert statuses(edge, secret) == {503}
    wait_until(lambda: "the portal refuses nginx's own key (revoked)" in edge.log())
    file = edge.folder / "keyportal.key"
    file.write_text(f"{feed.service_key}\n")
    try:
        wait_until(lambda: statuses(edge, secret) == {200})
    finally:
        file.write_text(SERVICE_KEY)
    assert feed.service_key not in edge.log()


def test_an_outage_is_logged_once_and_so_is_its_end(feed: FeedPortal, edge: Edge) -> None:
    def has_logged(text: str, times: int) -> bool:
        return edge.log().count(text) == times

    began, over = "the portal can't answer now (status 502)", "keyportal: the portal answers again"
    for number in (1, 2):
        feed.broken = {"/api/v1/changes": problem(502, "bad_gateway")}
        wait_until(partial(has_logged, began, number))
        ends = edge.log().count(over)
        feed.wait_for_polls()
        feed.broken = {}
        wait_until(partial(has_logged, over, ends + 1))
    feed.wait_for_polls()
    assert has_logged(began, 2)
    assert has_logged(over, ends + 1)


def test_while_the_portal_is_away_it_is_asked_seldom(feed: FeedPortal, edge: Edge, secret: str) -> None:
    """Seldomer than counts are reported, of which there are ten times fewer while it is there."""
    assert statuses(edge, secret) == {200}
    feed.broken = {"/api/v1/changes": problem(503, "unavailable"), "/api/v1/usage": problem(503, "unavailable")}
    reports, polls = len(feed.sent), feed.polls
    wait_until(lambda: len(feed.sent) >= reports + 8)
    assert feed.polls - polls <= len(feed.sent) - reports
