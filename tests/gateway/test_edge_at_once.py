"""Requests at once with a credential that nginx does not know: how many questions they are."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.edges import WORKERS, Edge
from tests.gateway.feed_portal import PATH, FeedPortal, edge, feed, running, secret, statuses
from tests.waiting import wait_until
from tests.wire import Wire, head, wire

__all__ = ["edge", "feed", "running", "secret"]  # fixtures

pytestmark = [pytest.mark.once, pytest.mark.edge]


@pytest.fixture
def lines(edge: Edge) -> Iterator[list[Wire]]:
    """Connections for requests: no more than the stub takes at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(wire(edge.port)) for _ in range(5)]


def send_at_once(feed: FeedPortal, lines: list[Wire], secret: str, path: str, meanwhile: Callable[[], object]) -> None:
    """Send a request over each of these lines: the others while the question of the first is on its way.

    It is answered after what is to be done meanwhile.
    """
    request = head("GET", path, f"Authorization: Bearer {secret}")

    def send_others() -> None:
        feed.before_answer = int
        for line in lines[1:]:
            line.send(request)
        meanwhile()

    feed.before_answer = send_others
    lines[0].send(request)


def test_requests_at_once_with_one_credential_need_one_question(
    feed: FeedPortal, edge: Edge, secret: str, lines: list[Wire]
) -> None:
    send_at_once(feed, lines, secret, PATH, feed.wait_for_polls)  # so long that nginx has read them
    assert {line.reply().status for line in lines} == {200}
    assert feed.asked <= WORKERS


def test_a_request_that_is_cancelled_fails_no_other(
    feed: FeedPortal, edge: Edge, secret: str, lines: list[Wire]
) -> None:
    def cancel() -> None:
        lines[0].close()
        feed.wait_for_polls()

    send_at_once(feed, lines, secret, "/cancelled/", cancel)
    assert {line.reply().status for line in lines[1:]} == {200}


def test_requests_that_only_the_portal_may_check_do_not_wait_for_each_other(
    feed: FeedPortal, edge: Edge, secret: str, lines: list[Wire]
) -> None:
    feed.record["asks_each_time"] = True
    assert statuses(edge, secret) == {200}
    send_at_once(feed, lines, secret, PATH, lambda: wait_until(lambda: feed.asked == 12 + len(lines)))
    assert {line.reply().status for line in lines} == {200}
