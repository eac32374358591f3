"""The order of changes: gapless at every listener under many writers, and what does not continue it is noticed."""

import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from credentials.verified_cache.changes import AppliedChanges, Change, Position
from credentials.verified_cache.triggers import CHANNEL, COUNTER
from credentials.verified_cache.verdict_tables import VERDICT_TABLES
from tests.databases import portal_database
from tests.waiting import DEADLINE

WRITERS, LISTENERS, TRANSACTIONS, ROWS = 6, 3, 150, 40
INSERT = (
    "INSERT INTO accounts_user (id, email, password, is_superuser, is_active, is_staff, joined_at, auth_epoch, seal, "
    "factors_digest, rights_digest) VALUES (%s, %s, '', false, true, false, now(), 0, '', '', '')"
)
RAISE = "UPDATE accounts_user SET auth_epoch = auth_epoch + 1 WHERE id = ANY (%s)"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with portal_database(tmp_path_factory.mktemp("changes")) as database_url:
        with psycopg.connect(database_url) as connection:
            connection.cursor().executemany(INSERT, [(f"usr_{n}", f"{n}@example.com") for n in range(ROWS)])
        yield database_url


class ListeningThread(threading.Thread):
    """Listens until it hears the end, as a worker does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute(f"LISTEN {CHANNEL}")
        self.heard: list[Change] = []
        self.gaps = 0

    def run(self) -> None:
        changes = AppliedChanges()
        for notification in self.connection.notifies(timeout=2 * DEADLINE):
            if notification.payload == "end":
                break
            change = Change.parse(notification.payload)
            assert change
            self.gaps += not changes.on_notification(change.position)
            self.heard.append(change)
        self.connection.close()


class Writer(threading.Thread):
    """Changes rows that the others change too, in transactions of every kind; keeps what each one has changed."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self.connection = psycopg.connect(url, options="-c deadlock_timeout=10ms")
        self.chance = random.Random(seed)
        self.changed: list[set[str]] = []
        """By each transaction that was committed."""

    def run(self) -> None:
        for _ in range(TRANSACTIONS):
            tags: set[str] = set()
            try:
                self._change(tags)
                self._savepoint(tags)
                if self.chance.random() < 0.2:
                    self.connection.rollback()
                    continue
                self.connection.commit()
            except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
                self.connection.rollback()
                continue
            if tags:
                self.changed.append(tags)
        self.connection.close()

    def _change(self, tags: set[str]) -> None:
        names = [f"usr_{number}" for number in sorted(self.chance.sample(range(ROWS), self.chance.randint(0, 4)))]
        self.connection.execute("UPDATE accounts_user SET last_login = now() WHERE id = ANY (%s)", [names[:1]])
        self.connection.execute(RAISE, [names])
        tags |= {f"user:{name}" for name in names}
        if self.chance.random() < 0.1:
            self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self.connection.execute("SET CONSTRAINTS ALL DEFERRED")

    def _savepoint(self, tags: set[str]) -> None:
        inner: set[str] = set()
        with self.connection.transaction() as savepoint:
            self._change(inner)
            if self.chance.random() < 0.5:
                raise psycopg.Rollback(savepoint)
            tags |= inner


@pytest.mark.second
@pytest.mark.finding("H14")
def test_many_writers_make_one_sequence_at_every_listener(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        began = counter(other)
        listeners = [ListeningThread(url) for _ in range(LISTENERS)]
        writers = [Writer(url, seed) for seed in range(WRITERS)]
        run_all([*listeners, *writers], wait_for=writers)
        other.execute(f"NOTIFY {CHANNEL}, 'end'")
        for listener in listeners:
            listener.join()
        ended = counter(other)
    committed = [frozenset(tags) for writer in writers for tags in writer.changed]
    assert len(committed) > WRITERS * TRANSACTIONS / 4
    assert {tuple(listener.heard) for listener in listeners} == {tuple(listeners[0].heard)}
    assert [listener.gaps for listener in listeners] == [0] * LISTENERS
    by_number: dict[Position, set[str]] = defaultdict(set)
    for change in listeners[0].heard:
        by_number[change.position].add(change.tag)
    numbers = [position.n for position in by_number]
    assert numbers == list(range(began + 1, ended + 1))
    assert sorted(map(sorted, by_number.values())) == sorted(map(sorted, committed))


def run_all(threads: Sequence[threading.Thread], *, wait_for: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in wait_for:
        thread.join()


def counter(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(f"SELECT n FROM {COUNTER}").fetchone()
    assert row
    return int(row[0])


@pytest.mark.second
@pytest.mark.finding("H14")
def test_a_transaction_of_many_rows_counts_once_and_what_nobody_reads_counts_nothing(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        before = counter(connection)
        connection.execute(f"LISTEN {CHANNEL}")
        connection.execute("UPDATE accounts_user SET last_login = now()")
        connection.execute("UPDATE accounts_user SET auth_epoch = auth_epoch")
        assert counter(connection) == before
        connection.execute("UPDATE accounts_user SET auth_epoch = auth_epoch + 1")
        assert counter(connection) == before + 1
        notifications = list(connection.notifies(timeout=1, stop_after=ROWS))
        assert {notification.payload.split()[0] for notification in notifications} == {str(before + 1)}
        assert {notification.payload.split()[2] for notification in notifications} == {
            f"user:usr_{n}" for n in range(ROWS)
        }


@pytest.mark.second
@pytest.mark.finding("H14")
@pytest.mark.parametrize("table", [table.table for table in VERDICT_TABLES if table.table != "accounts_user"])
def test_a_table_that_is_emptied_tells_of_everything(url: str, table: str) -> None:
    """That of the accounts, which the other tests change, is made by the same line."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        connection.execute(f"TRUNCATE {table} CASCADE")
        heard = [
            notification.payload for notification in connection.notifies(timeout=1, stop_after=1)
        ]  # it came with the answer
        assert {payload.split()[2] for payload in heard} == {"*"}


@pytest.mark.second
@pytest.mark.finding("H14")
@pytest.mark.parametrize("name", ["NULL", "repeat('x', 2000)"])
def test_a_name_that_is_too_long_or_none_means_everything(url: str, name: str) -> None:
    """A notification holds 8000 bytes, and one without a name would announce nothing."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE tokens_revokedtoken ALTER token_id TYPE text, ALTER token_id DROP NOT NULL")
        connection.execute(f"LISTEN {CHANNEL}")
        connection.execute(f"INSERT INTO tokens_revokedtoken VALUES (DEFAULT, 'x', {name}, now(), now())")
        assert [
            notification.payload.split()[2] for notification in connection.notifies(timeout=DEADLINE, stop_after=1)
        ] == ["*"]


@pytest.mark.second
@pytest.mark.finding("H14")
@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {COUNTER} SET n = n - 1",
        f"UPDATE {COUNTER} SET n = n + 2",
        f"UPDATE {COUNTER} SET n = n",
        f"UPDATE {COUNTER} SET identity = 'another', n = n + 1",
        f"DELETE FROM {COUNTER}",
        f"TRUNCATE {COUNTER}",
        f"INSERT INTO {COUNTER} SELECT 2, identity, n, nonce, raised_by FROM {COUNTER}",
        f"INSERT INTO {COUNTER} SELECT * FROM {COUNTER} ON CONFLICT (id) DO UPDATE SET n = 0",
    ],
)
def test_nobody_puts_the_counter_back(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.RaiseException, match="only goes up"):
            connection.execute(statement)


@pytest.mark.once
@pytest.mark.finding("H14")
def test_what_does_not_continue_the_order_is_noticed() -> None:
    one, two, three = (Position(number, f"nonce-{number}") for number in (1, 2, 3))
    changes = AppliedChanges()
    assert changes.on_notification(one)
    assert changes.on_notification(one)  # of the same transaction
    assert changes.on_notification(two)
    assert changes.on_notification(Position(2, "made up")) is False  # the number of a transaction that was another one
    assert changes.on_notification(Position(9, "nonce-9")) is False
    assert changes.on_notification(three) is False
    assert changes.on_notification(Position(4, "nonce-4"))


@pytest.mark.once
@pytest.mark.finding("H14")
def test_a_counter_that_says_more_than_was_heard_is_noticed_and_one_that_says_less() -> None:
    changes = AppliedChanges()
    assert changes.goes_on(Position(5, "a"))
    assert changes.reaches(Position(5, "a"))  # the order begins here
    assert changes.reaches(Position(5, "a"))
    assert changes.reaches(Position(6, "b")) is False  # six was not heard
    assert changes.reaches(Position(6, "b"))
    assert changes.on_notification(Position(7, "c"))
    assert changes.reaches(Position(6, "b"))  # read a moment before
    assert changes.reaches(Position(7, "another")) is False
    assert changes.goes_on(Position(7, "another"))
    assert changes.goes_on(Position(8, "d"))
    assert changes.goes_on(Position(3, "e")) is False
    assert changes.on_notification(Position(4, "f"))  # it begins anew


@pytest.mark.once
@pytest.mark.finding("H14")
@pytest.mark.parametrize(
    "payload",
    ["", "*", "key:key_1", "1", "1 nonce", "1 nonce ", "x nonce *", "-1 nonce *", "٣ nonce *", "1" * 20 + " nonce *"],
)
def test_a_notification_that_no_trigger_sent_is_ignored(payload: str) -> None:
    assert Change.parse(payload) is None


@pytest.mark.once
def test_a_notification_is_parsed() -> None:
    assert Change.parse("12 nonce key:key_1 x") == Change(Position(12, "nonce"), "key:key_1 x")
