"""SQLite's log and file, set aside, moved, removed or written past: no answer comes from a mixture."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from credentials.verified_cache import clock
from credentials.verified_cache.database_log import UnusableFileError
from credentials.verified_cache.freshness import Freshness
from tests.credentials.sqlite_connections import Connections, commit_elsewhere, connection
from tests.waiting import wait_until

__all__ = ["connection"]

pytestmark = pytest.mark.once  # the other database has a listener: test_listener_cut_off

INSERT_AND_CHECKPOINT = """
import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO own VALUES (1)")
connection.commit()
connection.execute("PRAGMA wal_checkpoint")
"""


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
                fresh.open_current()
            with pytest.raises(UnusableFileError):
                fresh.current()
    assert fresh.current() is not None
    assert fresh.database_number == 1


@pytest.mark.finding("H43")
def test_what_is_written_past_sqlite_into_the_file_makes_it_forget(connection: Connections) -> None:
    """As `cp` does it: neither device, inode nor SQLite's own counters tell of it."""
    fresh, file = Freshness(), Path(connection.settings_dict["NAME"])
    assert fresh.current() is not None
    fresh.open_current()
    before, written_at = fresh.cache.generation, file.stat().st_ctime_ns
    content = file.read_bytes()
    wait_until(lambda: file.write_bytes(content) and file.stat().st_ctime_ns != written_at)
    fresh.open_current()
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
    fresh.open_current()
    generation, raw = fresh.current(), connection.connection
    fresh.open_current()
    assert (fresh.current(), connection.connection) == (generation, raw)
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", -1)
    fresh.open_current()
    assert connection.connection is not raw
    later, raw = fresh.current(), connection.connection
    assert later != generation
    fresh.open_current()
    assert (fresh.current(), connection.connection) == (later, raw)


@pytest.mark.finding("H43")
def test_a_folder_that_was_moved_with_its_log_holds_the_database_that_it_held(
    connection: Connections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a link leads is kept only while everything lies there."""
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", -1)
    connection.close()
    link, first, second = tmp_path / "current", tmp_path / "first", tmp_path / "second"
    first.mkdir()
    Path(connection.settings_dict["NAME"]).rename(first / "own.sqlite3")
    link.symlink_to(first)
    connection.settings_dict["NAME"] = str(link / "own.sqlite3")
    fresh = Freshness()
    fresh.open_current()
    generation, raw = fresh.current(), connection.connection
    first.rename(second)
    link.unlink()
    link.symlink_to(second)
    fresh.open_current()
    assert (fresh.current(), connection.connection, fresh.database_number) == (generation, raw, 0)
    commit_elsewhere(connection, 1)
    assert fresh.current() != generation
    assert not caplog.records


@pytest.mark.finding("H14")
def test_while_the_file_has_two_names_it_is_checked_before_every_query(
    connection: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process writes by the other name changes the file, and no counter that this connection reads."""
    moment = clock.now()
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: moment)
    file = Path(connection.settings_dict["NAME"])
    other = file.with_name("other.sqlite3")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.link(file, other)
    fresh = Freshness()
    for number in range(3):
        assert fresh.current() is None
        with connection.cursor() as cursor:
            assert cursor.execute("SELECT count(*) FROM own").fetchone() == (number,)
        subprocess.run([sys.executable, "-c", INSERT_AND_CHECKPOINT, str(other)], check=True)


@pytest.mark.finding("H43")
def test_the_log_stays_when_the_last_connection_of_a_thread_is_closed(
    connection: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite would remove it with the last connection; the index of it is read, and so kept."""
    fresh, log = Freshness(), Path(f"{connection.settings_dict['NAME']}-wal")
    for number in range(5):
        fresh.open_current()
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
    fresh.open_current()
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
    fresh.open_current()
    with connection.cursor() as cursor:
        cursor.execute("SELECT x FROM own")
        assert cursor.fetchall() == [(1,), (2,)]


@pytest.mark.finding("H43")
def test_while_a_thread_has_a_log_that_is_gone_nobody_opens_the_next(connection: Connections) -> None:
    """SQLite would read the new log by the index of the old one, which all connections of a process share."""
    fresh, file = Freshness(), Path(connection.settings_dict["NAME"])
    fresh.open_current()
    opened, over = threading.Event(), threading.Event()

    def elsewhere() -> None:
        fresh.open_current()
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
                fresh.open_current()
            with pytest.raises(UnusableFileError):
                fresh.current()
    finally:
        over.set()
        thread.join()
    assert fresh.current() is not None
