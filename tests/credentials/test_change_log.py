"""What a worker remembers of changes, and what it answers about them without a query or a wait."""

from types import SimpleNamespace

import pytest

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.change_log import AHEAD_FOR, KEPT, MAX_AHEAD, ChangeLog, Cursor, Place
from credentials.verified_cache.changes import Change, Position
from credentials.verified_cache.feed import MAX_TAGS, ChangeFeed, UnknownChangesError
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.lease import SECONDS

pytestmark = pytest.mark.once
IDENTITY = "0123456789abcdef"


def position(n: int) -> Position:
    return Position(n, f"{n:x}")


def change(n: int, tag: str = "") -> Change:
    return Change(position(n), tag or f"key:{n}")


@pytest.fixture
def log() -> ChangeLog:
    """A log that began after the third transaction."""
    made = ChangeLog()
    made.begin(IDENTITY, after=None)
    made.confirm(position(3), read_at=0.0)
    return made


def tags_since(log: ChangeLog, cursor: Cursor | None) -> list[str] | None:
    news = log.since(cursor)
    assert news is not None
    return None if news.tags is None else list(news.tags)


def test_before_anything_is_known_there_is_no_answer() -> None:
    log = ChangeLog()
    assert log.since(None) is None
    log.begin(IDENTITY, after=position(1))
    assert log.since(None) is None


def test_what_came_after_a_cursor_is_named(log: ChangeLog) -> None:
    first = log.head
    log.append([change(4), change(5, "user:a"), change(5, "user:b")])
    assert tags_since(log, first) == ["key:4", "user:a", "user:b"]
    assert tags_since(log, log.head) == []
    log.append([change(6)])
    assert tags_since(log, first) == ["key:4", "user:a", "user:b", "key:6"]


def test_a_place_within_a_transaction_is_one_too(log: ChangeLog) -> None:
    """Its notifications may arrive in pieces."""
    log.append([change(4, "user:a")])
    middle = log.head
    log.append([change(4, "user:b")])
    assert tags_since(log, middle) == ["user:b"]
    log.confirm(position(4), read_at=0.0)
    assert tags_since(log, log.head) == []
    assert tags_since(log, middle) == ["user:b"]


def test_a_cursor_is_written_and_read(log: ChangeLog) -> None:
    log.append([change(4)])
    assert str(log.head) == f"{IDENTITY}.4.1.4"
    assert Cursor.parse(str(log.head)) == log.head == Cursor(IDENTITY, Place(4, 1), "4")
    for odd in ("", "a.b.c.d", f"{IDENTITY}.4.1", f"{IDENTITY}.4.1.4\n", f"{IDENTITY}.-4.1.4", f"{IDENTITY}.٤.1.4"):
        assert Cursor.parse(odd) is None


def test_after_something_was_missed_no_earlier_place_is_known(log: ChangeLog) -> None:
    first = log.head
    log.append([change(4)])
    log.forget(after=position(6))
    assert log.since(first) is None
    log.append([change(6)])  # how many of this transaction's came before, nobody knows
    assert log.since(first) is None
    log.append([change(7)])
    assert tags_since(log, first) is None
    assert tags_since(log, log.head) == []


def test_the_newest_changes_are_kept(log: ChangeLog) -> None:
    first = log.head
    log.append(change(n) for n in range(4, 2 * KEPT + 4))
    before = log.head
    assert len(tags_since(log, first) or ()) == 2 * KEPT
    log.append([change(2 * KEPT + 4)])
    assert tags_since(log, first) is None
    assert tags_since(log, before) == [f"key:{2 * KEPT + 4}"]
    early = Cursor(IDENTITY, Place(KEPT + 5, 1), f"{KEPT + 5:x}")
    assert len(tags_since(log, early) or ()) == KEPT - 1


def test_a_number_that_has_occurred_twice_is_another_place(log: ChangeLog) -> None:
    log.append([change(4)])
    assert tags_since(log, Cursor(IDENTITY, Place(4, 0), "3")) == ["key:4"]
    assert tags_since(log, Cursor(IDENTITY, Place(4, 0), "a")) is None
    assert tags_since(log, Cursor(IDENTITY, Place(4, 1), "a")) is None
    assert tags_since(log, Cursor("f" * 16, Place(4, 1), "4")) is None


def test_a_place_that_the_counter_has_not_reached_does_not_exist(
    log: ChangeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there before the cursor was sent. So a counter that was read after that must have reached it."""
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: 5.0)
    ahead = Cursor(IDENTITY, Place(9, 0), "8")
    assert tags_since(log, ahead) == []
    log.confirm(position(3), read_at=4.9)
    assert tags_since(log, ahead) == []
    log.confirm(position(3), read_at=5.1)
    assert tags_since(log, ahead) is None


def test_cursors_that_lead_too_far_are_remembered_up_to_a_number(log: ChangeLog) -> None:
    """Services could send any."""
    ahead = [Cursor(IDENTITY, Place(100 + n, 0), "x") for n in range(MAX_AHEAD + 1)]
    assert [tags_since(log, cursor) for cursor in ahead] == [[]] * MAX_AHEAD + [None]


def test_cursors_that_lead_too_far_make_room_after_a_while(log: ChangeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: 5.0)
    for n in range(MAX_AHEAD):
        tags_since(log, Cursor(IDENTITY, Place(100 + n, 0), "x"))
    next_one = Cursor(IDENTITY, Place(99, 0), "x")
    log.confirm(position(3), read_at=5.0 + AHEAD_FOR - 0.1)
    assert tags_since(log, next_one) is None
    log.confirm(position(3), read_at=5.0 + AHEAD_FOR)
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: 5.0 + AHEAD_FOR)
    assert tags_since(log, next_one) == []


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> "Fed":
    """A feed on PostgreSQL whose worker has a lease, its freshness, and a clock that the test moves."""
    fresh, now = Freshness(), [1000.0]
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: now[0])
    monkeypatch.setattr("credentials.verified_cache.feed.freshness", lambda: fresh)
    monkeypatch.setattr(
        "credentials.verified_cache.feed.connections", {"default": SimpleNamespace(vendor="postgresql")}
    )
    monkeypatch.setattr(fresh, "current", lambda: None)
    fresh.lease.log.begin(IDENTITY, after=None)
    fresh.lease.log.confirm(position(3), read_at=1000.0)
    fresh.lease.renew(since=1000.0)
    return ChangeFeed(), fresh, now


Fed = tuple[ChangeFeed, Freshness, list[float]]


def test_a_poll_is_answered_without_a_query(feed: Fed) -> None:
    answering, fresh, now = feed
    first = answering.changes_since(None, may_query=False)
    assert (first.tags, first.age) == (None, 0.0)
    now[0] += 0.75
    fresh.lease.log.append([change(4), change(5, "key:4")])
    second = answering.changes_since(first.cursor, may_query=False)
    assert (second.tags, second.age) == (("key:4",), 0.75)
    assert answering.changes_since(second.cursor, may_query=False).tags == ()
    assert answering.cursor(may_query=False) == second.cursor


def test_without_a_lease_it_is_not_known(feed: Fed) -> None:
    answering, _, now = feed
    now[0] += SECONDS
    with pytest.raises(WouldBlockError):
        answering.changes_since(None, may_query=False)
    with pytest.raises(UnknownChangesError):
        answering.changes_since(None, may_query=True)
    assert answering.cursor(may_query=True) is None


def test_a_worker_that_is_behind_lets_no_lease_grow(feed: Fed) -> None:
    """It can't tell yet whether what the verifier has heard still exists."""
    answering, fresh, _ = feed
    ahead = str(Cursor(IDENTITY, Place(5, 1), "5"))
    answer = answering.changes_since(ahead, may_query=False)
    assert (answer.cursor, answer.tags, answer.age) == (ahead, (), SECONDS)
    fresh.lease.log.append([change(4), change(5)])
    assert answering.changes_since(ahead, may_query=False).age == 0.0


def test_many_changes_or_one_of_everything_make_a_verifier_forget(feed: Fed) -> None:
    answering, fresh, _ = feed
    cursor = answering.changes_since(None, may_query=False).cursor
    fresh.lease.log.append(change(4 + n) for n in range(MAX_TAGS))
    assert len(answering.changes_since(cursor, may_query=False).tags or ()) == MAX_TAGS
    fresh.lease.log.append([change(4 + MAX_TAGS)])
    assert answering.changes_since(cursor, may_query=False).tags is None
    cursor = answering.changes_since(None, may_query=False).cursor
    fresh.lease.log.append([change(5 + MAX_TAGS, "*")])
    assert answering.changes_since(cursor, may_query=False).tags is None
