"""Currency by itself: on SQLite what a connection has seen, thread by thread; on PostgreSQL the lease."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.db import connection as default
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import Client
from pytest_django import DjangoDbBlocker

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache import clock, freshness
from credentials.verified_cache.database_file import CHECK_EVERY
from credentials.verified_cache.database_identity import DatabaseIdentity
from credentials.verified_cache.database_log import UnusableFileError
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.lease import SECONDS, Lease
from tests.waiting import wait_until

pytestmark = pytest.mark.once  # the other database has a listener: test_cut_off


class Connections(threading.local):
    """A connection of its own to one SQLite file for each thread, as `django.db.connection` is."""

    def __init__(self, file: Path) -> None:
        self.wrapper = DatabaseWrapper({**default.settings_dict, "NAME": str(file)})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapper, name)


@pytest.fixture
def connection(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connections]:
    """What `django.db.connection` is to the freshness under test: a file of its own, in WAL mode."""
    own = Connections(tmp_path / "own.sqlite3")
    monkeypatch.setattr("credentials.verified_cache.freshness.connections", {"default": own})
    # What a test changes is old enough at once, whether the machine is busy or not.
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", -1)
    with django_db_blocker.unblock():
        with own.cursor() as cursor:
            cursor.execute("CREATE TABLE own (x)")
        yield own
        own.close()


def commit_elsewhere(connection: Connections, number: int) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("INSERT INTO own VALUES (?)", [number])
        other.commit()


def test_only_a_commit_makes_it_forget(connection: Connections) -> None:
    fresh = Freshness()
    first = fresh.current()
    assert first is not None
    assert [fresh.current() for _ in range(3)] == [first] * 3
    commit_elsewhere(connection, 1)
    second = fresh.current()
    assert second != first
    assert fresh.current() == second


def test_its_own_connection_s_changes_make_it_forget(connection: Connections) -> None:
    fresh = Freshness()
    before = fresh.current()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO own VALUES (2)")
    assert fresh.current() != before


def test_in_a_transaction_nothing_is_recalled(connection: Connections) -> None:
    fresh = Freshness()
    connection.set_autocommit(False)
    connection.wrapper.in_atomic_block = True
    assert fresh.current() is None
    connection.wrapper.in_atomic_block = False
    connection.set_autocommit(True)
    assert fresh.current() is not None


def test_a_new_connection_does_not_trust_what_others_kept(connection: Connections) -> None:
    fresh = Freshness()
    before = fresh.current()
    assert before is not None
    seen: list[int | None] = []

    def elsewhere() -> None:
        seen.append(fresh.current())
        connection.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen != [before]
    fresh.wait_until_applied()  # nothing to wait for: the next request looks by itself
    fresh.lease.revoke()
    assert fresh.current() != before


@pytest.mark.finding("H43")
def test_a_log_that_can_not_be_set_aside_ends_every_answer(
    connection: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would read the log of the old file as that of the new one: better no answer than one from a mixture."""
    fresh, file = Freshness(), Path(connection.settings_dict["NAME"])
    assert fresh.current() is not None
    commit_elsewhere(connection, 1)
    copy = file.with_name("copy.sqlite3")
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(copy)) as target:
        live.backup(target)
    copy.replace(file)

    def refuse(path: Path, target: str) -> None:
        raise PermissionError

    with monkeypatch.context() as readonly:
        readonly.setattr(Path, "rename", refuse)
        for _ in range(3):
            with pytest.raises(UnusableFileError, match="can't be set aside"):
                fresh.follow()
            with pytest.raises(UnusableFileError):
                fresh.current()
    assert fresh.current() is not None
    assert fresh.database_number == 1


@pytest.mark.finding("H43")
def test_what_is_written_past_sqlite_into_the_file_makes_it_forget(connection: Connections) -> None:
    """As `cp` does it: neither device, inode nor SQLite's own counters tell of it."""
    fresh, file = Freshness(), Path(connection.settings_dict["NAME"])
    assert fresh.current() is not None
    fresh.follow()
    before, written_at = fresh.cache.generation, file.stat().st_ctime_ns
    content = file.read_bytes()
    wait_until(lambda: file.write_bytes(content) and file.stat().st_ctime_ns != written_at)
    fresh.follow()
    assert fresh.cache.generation != before
    assert fresh.database_number == 0


@pytest.mark.finding("H43")
def test_what_was_read_just_after_a_change_is_read_again(
    connection: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next change may have the same time, and be one of which nothing else tells."""
    fresh = Freshness()
    for_ever = 1 << 62  # nanoseconds
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", for_ever)
    fresh.follow()
    generation, raw = fresh.current(), connection.connection
    fresh.follow()
    assert (fresh.current(), connection.connection) == (generation, raw)
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", -1)
    fresh.follow()
    assert connection.connection is not raw
    settled, raw = fresh.current(), connection.connection
    assert settled != generation
    fresh.follow()
    assert (fresh.current(), connection.connection) == (settled, raw)


@pytest.mark.finding("H43")
def test_a_folder_that_was_moved_with_its_log_holds_the_database_that_it_held(
    connection: Connections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a link leads is remembered only while everything lies there."""
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", -1)
    connection.close()
    link, first, second = tmp_path / "current", tmp_path / "first", tmp_path / "second"
    first.mkdir()
    Path(connection.settings_dict["NAME"]).rename(first / "own.sqlite3")
    link.symlink_to(first)
    connection.settings_dict["NAME"] = str(link / "own.sqlite3")
    fresh = Freshness()
    fresh.follow()
    generation, raw = fresh.current(), connection.connection
    first.rename(second)
    link.unlink()
    link.symlink_to(second)
    fresh.follow()
    assert (fresh.current(), connection.connection, fresh.database_number) == (generation, raw, 0)
    commit_elsewhere(connection, 1)
    assert fresh.current() != generation
    assert not caplog.records


@pytest.mark.finding("H43")
def test_the_log_stays_when_the_last_connection_of_a_thread_is_closed(
    connection: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite would remove it with the last connection; the index of it is read, and so kept."""
    fresh, log = Freshness(), Path(f"{connection.settings_dict['NAME']}-wal")
    for number in range(5):
        fresh.follow()
        commit_elsewhere(connection, number)
        assert log.exists()
        connection.close()
        assert log.exists()
    assert "the log of" not in caplog.text
    assert fresh.current() is not None


@pytest.mark.finding("H43")
def test_a_log_that_somebody_has_begun_is_not_removed_with_the_one_that_was_taken_away(
    connection: Connections,
) -> None:
    """As SQLite does it when the last connection is closed: by its name."""
    fresh, file = Freshness(), Path(connection.settings_dict["NAME"])
    fresh.follow()
    commit_elsewhere(connection, 1)
    with closing(sqlite3.connect(file)) as live:
        live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for ending in ("-wal", "-shm"):
        Path(f"{file}{ending}").unlink()
    commit = (
        f"import sqlite3\nwith sqlite3.connect({str(file)!r}) as other: other.execute('INSERT INTO own VALUES (2)')"
    )
    subprocess.run([sys.executable, "-c", commit], check=True)  # SQLite shares an index within a process
    assert Path(f"{file}-wal").exists()
    fresh.follow()
    with connection.cursor() as cursor:
        cursor.execute("SELECT x FROM own")
        assert cursor.fetchall() == [(1,), (2,)]


@pytest.mark.finding("H43")
def test_while_a_thread_has_a_log_that_is_gone_nobody_opens_the_next(connection: Connections) -> None:
    """SQLite would read the new log by the index of the old one, which all connections of a process share."""
    fresh, file = Freshness(), Path(connection.settings_dict["NAME"])
    fresh.follow()
    opened, over = threading.Event(), threading.Event()

    def elsewhere() -> None:
        fresh.follow()
        opened.set()
        over.wait()
        connection.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    opened.wait()
    for ending in ("-wal", "-shm"):
        Path(f"{file}{ending}").unlink()
    try:
        for _ in range(3):
            with pytest.raises(UnusableFileError, match="not every thread has closed it yet"):
                fresh.follow()
            with pytest.raises(UnusableFileError):
                fresh.current()
    finally:
        over.set()
        thread.join()
    assert fresh.current() is not None


def test_what_is_looked_up_is_of_its_own_digest_and_asked_once(
    connection: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Freshness()
    monkeypatch.setattr(freshness, "freshness", lambda: own)
    monkeypatch.setattr(freshness, "confirm_rings", lambda: None)  # of which this database knows nothing
    asked: list[bytes] = []

    def looked_up(digest: bytes) -> Any:
        def load() -> Any:
            asked.append(digest)
            return SimpleNamespace(digest=digest, tags=(), is_terminal=False)

        return freshness.get_or_load(digest, load)

    assert [looked_up(digest).digest for digest in (b"1", b"2", b"1", b"2")] == [b"1", b"2", b"1", b"2"]
    assert asked == [b"1", b"2"]
    commit_elsewhere(connection, 1)
    assert looked_up(b"1").digest == b"1"
    assert asked == [b"1", b"2", b"1"]


@pytest.fixture
def glancing(connection: Connections, monkeypatch: pytest.MonkeyPatch) -> Freshness:
    """A freshness that has looked once, and whose rings fit. Its clock stands still until a test moves it."""
    moment = clock.now()
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: moment)
    fresh = Freshness()
    monkeypatch.setattr(freshness, "confirm_rings", lambda: None)
    monkeypatch.setattr(freshness, "freshness", lambda: fresh)
    assert not fresh.glance()
    assert fresh.current() is not None
    assert not fresh.glance()
    fresh.confirm_rings()
    assert fresh.glance()
    return fresh


def test_a_glance_sees_every_commit_without_a_question(connection: Connections, glancing: Freshness) -> None:
    for number in range(3):
        commit_elsewhere(connection, number)
        assert not glancing.glance()
        assert glancing.current() is not None
        assert glancing.glance()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO own VALUES (9)")
    assert not glancing.glance()
    by_another_process = f"import sqlite3\nwith sqlite3.connect({str(connection.settings_dict['NAME'])!r}) as c: "
    assert glancing.current() is not None
    subprocess.run([sys.executable, "-c", f"{by_another_process}c.execute('INSERT INTO own VALUES (3)')"], check=True)
    assert not glancing.glance()


def test_a_glance_sees_a_commit_whoever_closes_its_connection(connection: Connections, glancing: Freshness) -> None:
    """SQLite removes or shortens the index when nobody has it open: the glance has."""
    connection.close()
    commit_elsewhere(connection, 1)
    assert not glancing.glance()
    assert glancing.current() is not None
    assert glancing.glance()


def test_a_glance_is_good_for_as_long_only_as_a_look_at_the_file(
    connection: Connections, glancing: Freshness, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = clock.now() + CHECK_EVERY
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: later)
    assert not glancing.glance()
    assert glancing.current() is not None
    assert glancing.glance()
    file = Path(connection.settings_dict["NAME"])
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(file.with_name("copy"))) as target:
        live.backup(target)
    file.with_name("copy").replace(file)
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: later + CHECK_EVERY)
    assert not glancing.glance()
    assert glancing.current() is not None
    assert not glancing.glance()  # nobody knows whether the rings fit the new one
    glancing.confirm_rings()
    assert glancing.glance()
    commit_elsewhere(connection, 2)
    assert not glancing.glance()


def test_what_is_not_known_to_be_current_is_not_answered_at_once(connection: Connections, glancing: Freshness) -> None:
    def load() -> Any:
        return SimpleNamespace(tags=(), is_terminal=False)

    with pytest.raises(WouldBlockError):
        freshness.get_cached(b"1", load)
    kept = freshness.get_or_load(b"1", load)
    assert freshness.get_cached(b"1", load) is kept
    assert (glancing.cache.hits, glancing.cache.misses) == (1, 1)
    commit_elsewhere(connection, 1)
    with pytest.raises(WouldBlockError):
        freshness.get_cached(b"1", load)


class Ear:
    """What a listener is to the freshness under test: it hears nothing and notes what it is asked for."""

    def __init__(self, lease: Lease) -> None:
        self.of = lease
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.asked.append(name)


@pytest.fixture
def leased(monkeypatch: pytest.MonkeyPatch) -> tuple[Freshness, list[Ear], list[float]]:
    """A freshness on PostgreSQL with a clock that the test moves, and the listeners that it makes."""
    line = SimpleNamespace(vendor="postgresql", in_atomic_block=False, close=lambda: None)
    ears: list[Ear] = []
    clock = [1000.0]
    monkeypatch.setattr("credentials.verified_cache.freshness.connections", {"default": line})

    def listener(of: Lease) -> Ear:
        ears.append(Ear(of))
        return ears[-1]

    monkeypatch.setattr("credentials.verified_cache.freshness.Listener", listener)
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: clock[0])
    fresh = Freshness()
    return fresh, ears, clock


Leased = tuple[Freshness, list[Ear], list[float]]


def test_who_asks_without_a_lease_makes_one_listener_and_then_wakes_it(leased: Leased) -> None:
    fresh, ears, _ = leased
    assert [fresh.current() for _ in range(3)] == [None] * 3
    [ear] = ears
    assert (ear.of, ear.asked) == (fresh.lease, ["start", "abort_if_stale", "abort_if_stale"])


def test_a_lease_holds_for_two_seconds_from_what_was_heard_and_no_moment_longer(leased: Leased) -> None:
    fresh, ears, clock = leased
    assert fresh.current() is None
    fresh.lease.renew(since=999.0)
    assert fresh.current() == fresh.cache.generation
    clock[0] = 1000.999
    assert fresh.current() == fresh.cache.generation
    clock[0] = 1001.0
    assert fresh.current() is None
    assert len(ears) == 1


def test_a_glance_is_good_for_as_long_as_the_lease(leased: Leased, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, _, clock = leased
    monkeypatch.setattr(freshness, "confirm_rings", lambda: None)
    fresh.confirm_rings()
    assert not fresh.glance()
    fresh.lease.renew(since=999.0)
    assert fresh.glance()
    clock[0] = 1001.0
    assert not fresh.glance()
    fresh.lease.renew(since=1000.5)
    assert fresh.glance()
    fresh.lease.switch_database()
    fresh.lease.renew(since=1001.5)
    assert not fresh.glance()  # whose rings nobody has compared


def test_a_lease_that_is_lost_is_over_at_once_and_everything_is_forgotten(leased: Leased) -> None:
    fresh, _, _ = leased
    fresh.lease.renew(since=1000.0)
    before = fresh.current()
    assert before is not None
    fresh.lease.revoke()
    assert fresh.current() is None
    fresh.lease.renew(since=1000.0)  # a heartbeat from before
    assert fresh.current() is None
    fresh.lease.renew(since=1000.001)
    assert fresh.current() not in (before, None)


def test_an_answer_waits_for_its_change_only_while_somebody_listens(leased: Leased) -> None:
    fresh, ears, clock = leased
    fresh.wait_until_applied()  # nobody listens yet
    fresh.current()
    fresh.wait_until_applied()  # somebody does, and has no lease
    assert ears[0].asked == ["start"]
    fresh.lease.renew(since=1000.0)
    fresh.wait_until_applied()
    assert ears[0].asked == ["start", "wait_until_applied"]
    assert fresh.lease.until == 0.0  # it was not heard in time
    fresh.lease.renew(since=1000.5)
    clock[0] = 1002.5
    fresh.wait_until_applied()
    assert ears[0].asked == ["start", "wait_until_applied"]


@pytest.mark.django_db
def test_only_the_answer_to_what_may_change_something_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(freshness.freshness(), "wait_until_applied", lambda: waited.append("for it"))
    assert client.get("/accounts/login/", secure=True).status_code == 200
    assert waited == []
    assert client.post("/theme/", {"theme": "dark"}, secure=True).status_code == 302
    assert waited == ["for it"]


def test_nobody_has_looked_yet() -> None:
    fresh = Freshness()
    assert (fresh.lease.fault, fresh.lease.disagreement) == (None, "")


def test_the_rings_are_compared_once_with_each_database(leased: Leased, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, _, _ = leased
    asked: list[str] = []
    monkeypatch.setattr(freshness, "confirm_rings", lambda: asked.append("the database"))
    for _ in range(2):
        fresh.confirm_rings()
    assert len(asked) == 1
    fresh.lease.switch_database()
    for _ in range(2):
        fresh.confirm_rings()
    assert len(asked) == 2


HERE, THERE = DatabaseIdentity("1.5", 1, (1, 2)), DatabaseIdentity("1.5", 1, (1, 3))


def is_made(place: DatabaseIdentity | Exception, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Have Django tell of a connection that leads to this place; something else happens before it has said so."""

    def fetchone() -> Any:
        meanwhile()
        if isinstance(place, Exception):
            raise place
        return place.server, place.database, list(place.tables)

    raw = SimpleNamespace(cursor=lambda: SimpleNamespace(execute=lambda *asked: None, fetchone=fetchone))
    made = SimpleNamespace(alias="default", vendor="postgresql", connection=raw, close=lambda: None)
    connection_created.send(sender=DatabaseWrapper, connection=SimpleNamespace(**vars(made), wrap_database_errors=ANY))


ANY = nullcontext()


@pytest.mark.finding("H43")
def test_a_connection_that_leads_elsewhere_ends_the_trust_until_all_agree(leased: Leased) -> None:
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert fresh.current() is None  # this thread's connection may be an old one
    is_made(HERE)
    kept_in = fresh.current()
    assert kept_in is not None
    is_made(THERE)
    assert fresh.cache.generation != kept_in  # what was being asked meanwhile is not kept
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert [fresh.current() for _ in range(3)] == [None] * 3
    assert fresh.lease.disagreement == "connections to the database lead to different servers, databases or tables"
    fresh.lease.switch_database(THERE)
    is_made(THERE)
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert fresh.current() is not None
    assert fresh.lease.disagreement == ""


@pytest.mark.finding("H43")
def test_while_nobody_listens_no_connection_disagrees(leased: Leased) -> None:
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    fresh.lease.on_listener_stopped()
    is_made(THERE)
    fresh.lease.renew(since=clock[0] + 1)
    assert fresh.current() is not None
    assert fresh.lease.disagreement == ""


@pytest.mark.finding("H43")
def test_whoever_was_compared_with_a_place_that_is_over_ends_nothing(leased: Leased) -> None:
    """While the connection says where it leads, the listener meets that very place."""
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    clock[0] += 1

    def moves() -> None:
        fresh.lease.switch_database(THERE)
        fresh.lease.renew(since=clock[0] + 1)

    is_made(THERE, meanwhile=moves)
    assert (fresh.lease.disagreement, fresh.lease.until) == ("", clock[0] + 1 + SECONDS)
    assert fresh.current() is None  # this one was compared with the other place


@pytest.mark.finding("H43")
def test_a_thread_makes_its_connection_anew_until_it_leads_to_the_right_place(
    leased: Leased, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, _, _ = leased
    closed: list[str] = []
    monkeypatch.setattr(fresh._thread.connection, "close", lambda: closed.append("it"))
    fresh.current()
    assert closed == []
    fresh.lease.switch_database(HERE)
    for _ in range(2):
        fresh.current()
    assert closed == ["it"]
    is_made(THERE)
    fresh.current()
    assert closed == ["it"] * 2


@pytest.mark.finding("H43")
def test_a_disagreement_is_told_once(leased: Leased, caplog: pytest.LogCaptureFixture) -> None:
    fresh, _, _ = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    for _ in range(3):
        is_made(THERE)
    assert caplog.text.count("lead to different servers") == 1


@pytest.mark.finding("H43")
def test_a_connection_made_before_anything_is_met_counts_for_that(leased: Leased) -> None:
    fresh, _, _ = leased
    fresh._ensure_listening()
    is_made(HERE)
    fresh.lease.renew(since=1000.0)
    assert fresh.current() is not None


@pytest.mark.finding("H43")
def test_a_connection_that_does_not_say_where_it_leads_is_none(leased: Leased) -> None:
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    with pytest.raises(OperationalError):
        is_made(OperationalError())
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert fresh.current() is None
