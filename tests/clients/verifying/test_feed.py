"""One turn of the feed's thread after another, without the thread: what it asks, and for how long it pauses."""

import json
import threading
from typing import Any

import pytest

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying.answers import Answer
from keyportal_client.verifying.exchange import Call
from keyportal_client.verifying.fault_log import FaultLog
from keyportal_client.verifying.feed import IDLE_AFTER, IDLE_EVERY, NO_THREAD, POLL_EVERY, REPORT_EVERY, Feed
from keyportal_client.verifying.reports import MAX_ENTRIES, Reports
from keyportal_client.verifying.store import LEASE, RecordStore
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import KEY, SECONDS, a_record, cursor
from tests.waiting import wait_until

pytestmark = pytest.mark.once

AWAY = PortalAwayError("Nobody answers.", pause=1)


class World:
    """A feed, and the answers that it gets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = RecordStore(now=self.clock)
        self.reports = Reports("reports")
        self.calls: list[Call] = []
        self.polls: list[Answer | PortalAwayError] = []
        self.usage: Answer | PortalAwayError = Answer(202, "", b'{"is_new": true, "left_out": []}')
        self.feed = Feed(self, self.store, self.reports, FaultLog(now=self.clock), now=self.clock)
        question = self.store.begin()
        self.store.put(b"a", a_record(), question, cursor=cursor(5), portal_time=SECONDS)

    def send(self, call: Call) -> Answer:
        self.calls.append(call)
        self.clock.pass_by(0.1)
        answer = self.usage if call.method == "POST" else self.polls.pop(0) if self.polls else news(5)
        if isinstance(answer, PortalAwayError):
            raise answer
        return answer

    def close(self) -> None:
        return

    def sent(self) -> list[Any]:
        """Return the batches that were sent."""
        return [json.loads(call.body) for call in self.calls if call.body]

    def turn(self, after: float = POLL_EVERY) -> float:
        self.clock.pass_by(after)
        return self.feed.turn()


def news(number: int, *tags: str, **more: Any) -> Answer:
    said = {"cursor": cursor(number).text, "as_of_ms": 20, "tags": tags, **more}
    return Answer(200, "", json.dumps(said).encode())


@pytest.fixture
def world() -> World:
    return World()


def test_a_poll_asks_for_what_came_after_the_last_and_extends_the_lease(world: World) -> None:
    world.polls = [news(6, "key:another")]
    pause = world.turn()
    assert 0.8 * POLL_EVERY <= pause <= 1.2 * POLL_EVERY
    assert world.store.lease_until == pytest.approx(world.clock.at - 0.1 - 0.02 + LEASE)
    assert world.store.get(b"a") is not None
    world.polls = [news(7, f"key:{KEY}")]
    world.turn()
    assert world.store.get(b"a") is None
    assert [call.path for call in world.calls] == [
        f"/api/v1/changes?since={cursor(5).text}",
        f"/api/v1/changes?since={cursor(6).text}",
    ]


def test_a_first_poll_has_no_cursor() -> None:
    world = World()
    world.store._cursor = None
    world.polls = [news(9, reset=True)]
    world.turn()
    assert world.calls[0].path == "/api/v1/changes"
    assert world.store.cursor == cursor(9)


@pytest.mark.parametrize(("pause", "longest"), [(0, 1), (1, 1), (5, 5)])
def test_a_portal_that_is_away_is_polled_less_often(world: World, pause: float, longest: float) -> None:
    world.polls = [PortalAwayError("It is away.", pause=pause)] * 8
    pauses = [world.turn() for _ in range(8)]
    assert 0.8 * POLL_EVERY / 2 <= pauses[0] <= 1.2 * POLL_EVERY / 2
    assert 0.8 * longest <= pauses[-1] <= 1.2 * longest
    assert world.turn() <= 1.2 * POLL_EVERY
    world.polls = [AWAY]
    assert world.turn() == pytest.approx(pauses[0], rel=0.5)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"cursor": "x", "as_of_ms": 1, "tags": []}']
    + [json.dumps({"cursor": cursor(6).text, "tags": [], **wrong}).encode() for wrong in ({}, {"as_of_ms": -1})]
    + [json.dumps({"cursor": cursor(6).text, "as_of_ms": ms, "tags": []}).encode() for ms in (True, 1.5, "1", 10**400)]
    + [json.dumps({"cursor": cursor(6).text, "as_of_ms": 1, **wrong}).encode() for wrong in ({}, {"tags": [1]})],
)
def test_nonsense_extends_no_lease_and_moves_no_cursor(world: World, body: bytes) -> None:
    before = world.store.lease_until
    world.polls = [Answer(200, "", body)]
    world.turn()
    assert (world.store.lease_until, world.store.cursor) == (before, cursor(5))


def test_counts_are_sent_every_five_seconds(world: World) -> None:
    world.reports.count(SECONDS, "accepted", KEY)
    world.turn()
    assert world.sent() == []
    world.turn(REPORT_EVERY)
    world.reports.count(SECONDS, "accepted", KEY)
    world.turn()
    assert len(world.sent()) == 1
    world.turn(REPORT_EVERY)
    assert len({batch["batch"] for batch in world.sent()}) == 2


def test_polls_go_on_between_many_batches(world: World) -> None:
    for number in range(2 * MAX_ENTRIES + 1):
        world.reports.count(SECONDS, "accepted", f"key_{number}")
    world.turn(REPORT_EVERY)
    world.turn()
    world.turn()
    assert [call.method for call in world.calls] == ["GET", "POST"] * 3
    assert [len(batch["calls"]) for batch in world.sent()] == [MAX_ENTRIES, MAX_ENTRIES, 1]


def test_what_was_counted_is_sent_again_until_it_is_stored_and_slows_no_poll_down(world: World) -> None:
    world.usage = AWAY
    world.reports.count(SECONDS, "accepted", KEY)
    world.clock.pass_by(REPORT_EVERY)
    world.store.get(b"a")
    assert world.turn() <= 1.2 * POLL_EVERY
    world.turn()
    assert len(world.sent()) == 1
    world.usage = Answer(202, "", b"{}")
    world.turn(REPORT_EVERY)
    world.turn(REPORT_EVERY)
    first, second = world.sent()
    assert first == second


def test_what_the_portal_will_never_take_is_dropped_and_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.usage = Answer(400, "", b'{"code": "validation"}')
    world.reports.count(SECONDS, "accepted", KEY)
    world.turn(REPORT_EVERY)
    world.turn(REPORT_EVERY)
    assert len(world.sent()) == 1
    assert "does not take what this service counted" in caplog.text


def test_the_last_counts_are_sent_at_the_end_and_nobody_waits_for_an_absent_portal(world: World) -> None:
    for number in range(MAX_ENTRIES + 1):
        world.reports.count(SECONDS, "accepted", f"key_{number}")
    world.feed.stop(2)
    world.feed._run()
    assert [len(batch["calls"]) for batch in world.sent()] == [MAX_ENTRIES, 1]
    world.usage = AWAY
    world.reports.count(SECONDS, "accepted", KEY)
    world.feed._run()
    assert len(world.calls) == 3


def test_a_thread_that_was_stopped_is_not_started_again(world: World) -> None:
    world.feed.stop(0)
    world.feed.ensure_started()
    assert world.feed._thread is None


def test_where_no_thread_can_be_started_the_log_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    world.feed.ensure_started()
    world.feed.ensure_started()
    assert [record.args for record in caplog.records] == [(NO_THREAD,)]
    assert world.feed._thread is None


def test_a_fault_of_the_thread_is_logged_and_it_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def turn() -> float:
        world.feed.stop(0)
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.feed, "turn", turn)
    world.feed._run()
    assert "It goes on" in caplog.text


def test_when_nobody_is_judged_it_polls_seldom(world: World) -> None:
    for _ in range(int(IDLE_AFTER / (POLL_EVERY + 0.1)) - 1):
        assert world.turn() <= 1.2 * POLL_EVERY
    pauses = [world.turn() for _ in range(3)]
    assert 0.8 * IDLE_EVERY <= pauses[-1] <= 1.2 * IDLE_EVERY


def test_whoever_comes_after_that_is_asked_about_and_wakes_it(world: World) -> None:
    """What it knows is seconds old by then, and the portal's next poll is seconds away."""
    world.turn()
    assert world.store.get(b"a") is not None
    world.turn(IDLE_AFTER)
    assert not world.feed._wake.is_set()
    assert world.store.get(b"a") is None
    assert world.feed._wake.is_set()
    assert world.turn(0.0) <= 1.2 * POLL_EVERY
    assert world.store.get(b"a") is not None


def test_a_portal_that_is_away_is_not_polled_by_every_check(world: World) -> None:
    world.turn(IDLE_AFTER)
    assert world.store.get(b"a") is None
    world.feed._wake.clear()
    world.polls = [AWAY]
    world.turn(0.0)
    world.store.get(b"a")
    assert not world.feed._wake.is_set()


def test_a_pause_ends_at_a_check_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr("keyportal_client.verifying.feed.IDLE_AFTER", 0.0)
    monkeypatch.setattr("keyportal_client.verifying.feed.IDLE_EVERY", 3600.0)
    world.feed.ensure_started()
    wait_until(lambda: len(world.calls) == 1 and world.store._wake)
    world.store.get(b"a")
    wait_until(lambda: len(world.calls) == 2 and world.store._wake)
    world.feed.stop(within=10.0)
    assert world.feed._thread is not None
    assert not world.feed._thread.is_alive()
