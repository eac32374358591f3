"""What a listener does with what it hears and sees, by itself: no cache that forgets in time hides a mistake here."""

from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
from django.db import connection

from credentials.verified_cache import clock
from credentials.verified_cache.cache import Cacheable
from credentials.verified_cache.changes import Position
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.listener import Heartbeat, Listener
from credentials.verified_cache.trigger_health import DatabaseState
from tests.looking import look

pytestmark = pytest.mark.finding("H14")

KEYS = (b"1", b"2")


class ListenerUnderTest:
    """A listener without a connection, and the freshness of its process, whose cache has two keys."""

    def __init__(self) -> None:
        self.freshness = Freshness()
        self.listener = Listener(self.freshness.lease)
        self.fill_cache()

    def fill_cache(self) -> None:
        cache = self.freshness.cache
        for key in KEYS:
            record = cast("Cacheable", SimpleNamespace(tags=(f"key:{key.decode()}",), is_terminal=False))
            assert cache.put(key, record, generation=cache.generation, loaded_at=clock.now())

    def notify(self, *payloads: str) -> None:
        self.listener._on_notifications(payloads)

    def return_heartbeat(self, counter: Position | None) -> None:
        """Let a heartbeat come back that was sent a moment ago, when the change counter had this value."""
        self.listener._heartbeats["beat"] = Heartbeat(clock.now(), counter)
        self.listener._on_own_notification("beat")

    @property
    def cached_keys(self) -> list[bytes]:
        return [key for key in KEYS if self.freshness.cache.get(key)]

    @property
    def is_leased(self) -> bool:
        return self.freshness.lease.until > clock.now()


@pytest.fixture
def subject() -> ListenerUnderTest:
    return ListenerUnderTest()


@pytest.mark.once
def test_a_notification_drops_what_it_names_and_nothing_else(subject: ListenerUnderTest) -> None:
    subject.notify("1 a key:1", "1 a key:other")
    assert subject.cached_keys == [b"2"]


@pytest.mark.once
def test_a_notification_of_everything_clears_the_cache(subject: ListenerUnderTest) -> None:
    subject.notify("1 a *")
    assert subject.cached_keys == []


@pytest.mark.once
@pytest.mark.parametrize("payload", ["3 c key:other", "1 another key:other", "0 z key:other", "anything"])
def test_what_continues_nothing_makes_it_forget_everything(subject: ListenerUnderTest, payload: str) -> None:
    subject.notify("1 a key:other")
    assert subject.cached_keys == list(KEYS)
    subject.notify(payload)
    assert subject.cached_keys == []


@pytest.mark.once
def test_what_continues_nothing_makes_verifiers_forget_everything(subject: ListenerUnderTest) -> None:
    log = subject.freshness.lease.log
    subject.return_heartbeat(Position(1, "a"))
    cursor = log.head
    subject.notify("2 b key:other")
    assert log.since(cursor) == (log.head, ["key:other"], True)
    subject.notify("4 d key:other")
    assert log.since(cursor) is None
    subject.return_heartbeat(Position(4, "d"))
    assert log.since(cursor) == (log.head, None, True)


@pytest.mark.once
def test_a_heartbeat_whose_counter_was_not_heard_makes_it_forget_everything(subject: ListenerUnderTest) -> None:
    subject.return_heartbeat(Position(1, "a"))  # the order begins here
    subject.notify("2 b key:other")
    subject.return_heartbeat(Position(2, "b"))
    assert (subject.cached_keys, subject.is_leased) == (list(KEYS), True)
    subject.return_heartbeat(Position(3, "c"))
    assert (subject.cached_keys, subject.is_leased) == ([], True)


@pytest.mark.once
def test_a_heartbeat_without_a_counter_gives_no_lease(subject: ListenerUnderTest) -> None:
    subject.return_heartbeat(None)
    assert not subject.is_leased


@pytest.mark.second
@pytest.mark.django_db
def test_a_look_that_differs_from_the_last_one_makes_it_forget_everything(subject: ListenerUnderTest) -> None:
    def looks_alike(state: str) -> bool:
        return subject.listener._is_as_before(
            cast("psycopg.Connection", connection), DatabaseState(Position(1, "a"), (state,))
        )

    assert not looks_alike("one")
    subject.fill_cache()
    assert looks_alike("one")
    assert (subject.cached_keys, subject.freshness.database_number, subject.freshness.lease.fault) == (
        list(KEYS),
        1,
        "",
    )
    assert not looks_alike("another")
    assert (subject.cached_keys, subject.freshness.database_number) == ([], 2)


@pytest.mark.second
@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE apikeys_apikey DISABLE TRIGGER USER",
        "ALTER TABLE apikeys_apikey RENAME paused_at TO x",
        "ALTER FUNCTION keyportal_notify RESET ALL",
        "DROP TRIGGER keyportal_notify ON tokens_tokenfamily",
        "CREATE TABLE heir () INHERITS (apikeys_apikey)",
        "ALTER TABLE apikeys_apikey RENAME TO the_real_one",
        "ALTER TABLE apikeys_apikey ENABLE ROW LEVEL SECURITY",
        "CREATE TRIGGER another BEFORE UPDATE ON apikeys_apikey FOR EACH ROW EXECUTE FUNCTION keyportal_guard()",
    ],
)
def test_a_look_sees_each_change_of_what_it_rests_on(statement: str) -> None:
    with connection.cursor() as cursor:
        first, second = (look().versions for _ in range(2))
        assert first == second
        cursor.execute(statement)
        assert look().versions != first


@pytest.mark.second
@pytest.mark.django_db
def test_a_look_sees_another_database_of_the_same_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_changecounter DISABLE TRIGGER USER")
        before = look()
        cursor.execute("UPDATE credentials_changecounter SET identity = 'another'")
        after = look()
        assert after.counter == before.counter
        assert after.versions != before.versions


@pytest.mark.second
@pytest.mark.django_db
def test_a_look_sees_an_heir_of_a_table_that_had_one_before() -> None:
    """PostgreSQL leaves its note of an heir at the table when that is dropped, so that the table does not change."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE heir () INHERITS (apikeys_apikey)")
        cursor.execute("DROP TABLE heir")
        before = look()
        cursor.execute("CREATE TABLE heir () INHERITS (apikeys_apikey)")
        assert look().versions != before.versions


@pytest.mark.once
def test_a_heartbeat_from_before_the_counter_went_back_says_nothing(subject: ListenerUnderTest) -> None:
    """Otherwise the log would begin at a place that does not exist any more, and verifiers there hear nothing new."""
    log = subject.freshness.lease.log
    subject.return_heartbeat(Position(5, "a"))
    subject.listener._heartbeats["early"] = Heartbeat(clock.now(), Position(5, "a"))
    subject.listener._versions = state = ("as before",)
    subject.listener._on_read_state(
        cast("psycopg.Connection", connection), DatabaseState(Position(3, "b"), state), "late", clock.now()
    )
    subject.listener._on_own_notification("early")
    assert log.head is None
    subject.listener._on_own_notification("late")
    assert (log.head and log.head.place.n) == 4
