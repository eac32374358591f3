"""Freshness on SQLite: what a connection has seen, thread by thread, and the check that queries nothing."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache import clock, freshness
from credentials.verified_cache.database_file import CHECK_EVERY
from credentials.verified_cache.freshness import Freshness
from tests.credentials.sqlite_connections import Connections, commit_elsewhere, connection

__all__ = ["connection"]

pytestmark = pytest.mark.once  # the other database has a listener: test_listener_cut_off


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


def test_in_a_transaction_the_cache_is_not_used(connection: Connections) -> None:
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


def test_what_is_looked_up_is_of_its_own_digest_and_asked_once(
    connection: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Freshness()
    monkeypatch.setattr(freshness, "freshness", lambda: own)
    monkeypatch.setattr(freshness, "confirm_rings", lambda: None)  # of which this database knows nothing
    loaded: list[bytes] = []

    def look_up(digest: bytes) -> Any:
        def load() -> Any:
            loaded.append(digest)
            return SimpleNamespace(digest=digest, tags=(), is_terminal=False)

        return freshness.get_or_load(digest, load)

    assert [look_up(digest).digest for digest in (b"1", b"2", b"1", b"2")] == [b"1", b"2", b"1", b"2"]
    assert loaded == [b"1", b"2"]
    commit_elsewhere(connection, 1)
    assert look_up(b"1").digest == b"1"
    assert loaded == [b"1", b"2", b"1"]


@pytest.fixture
def warm(connection: Connections, monkeypatch: pytest.MonkeyPatch) -> Freshness:
    """A freshness that has looked once, and whose rings fit. Its clock stands still until a test moves it."""
    moment = clock.now()
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: moment)
    fresh = Freshness()
    monkeypatch.setattr(freshness, "confirm_rings", lambda: None)
    monkeypatch.setattr(freshness, "freshness", lambda: fresh)
    assert not fresh.is_known_current()
    assert fresh.current() is not None
    assert not fresh.is_known_current()
    fresh.confirm_rings()
    assert fresh.is_known_current()
    return fresh


def test_every_commit_is_detected_without_a_query(connection: Connections, warm: Freshness) -> None:
    for number in range(3):
        commit_elsewhere(connection, number)
        assert not warm.is_known_current()
        assert warm.current() is not None
        assert warm.is_known_current()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO own VALUES (9)")
    assert not warm.is_known_current()
    by_another_process = f"import sqlite3\nwith sqlite3.connect({str(connection.settings_dict['NAME'])!r}) as c: "
    assert warm.current() is not None
    subprocess.run([sys.executable, "-c", f"{by_another_process}c.execute('INSERT INTO own VALUES (3)')"], check=True)
    assert not warm.is_known_current()


def test_a_commit_is_detected_after_the_last_connection_is_closed(connection: Connections, warm: Freshness) -> None:
    """SQLite removes or shortens the index when no process has it open: the check without a query has."""
    connection.close()
    commit_elsewhere(connection, 1)
    assert not warm.is_known_current()
    assert warm.current() is not None
    assert warm.is_known_current()


def test_the_cache_is_known_current_only_until_the_next_check_of_the_file(
    connection: Connections, warm: Freshness, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = clock.now() + CHECK_EVERY
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: later)
    assert not warm.is_known_current()
    assert warm.current() is not None
    assert warm.is_known_current()
    file = Path(connection.settings_dict["NAME"])
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(file.with_name("copy"))) as target:
        live.backup(target)
    file.with_name("copy").replace(file)
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: later + CHECK_EVERY)
    assert not warm.is_known_current()
    assert warm.current() is not None
    assert not warm.is_known_current()  # nobody knows whether the rings fit the new one
    warm.confirm_rings()
    assert warm.is_known_current()
    commit_elsewhere(connection, 2)
    assert not warm.is_known_current()


def test_what_is_not_known_to_be_current_is_not_answered_at_once(connection: Connections, warm: Freshness) -> None:
    def load() -> Any:
        return SimpleNamespace(tags=(), is_terminal=False)

    with pytest.raises(WouldBlockError):
        freshness.get_cached(b"1", load)
    kept = freshness.get_or_load(b"1", load)
    assert freshness.get_cached(b"1", load) is kept
    assert (warm.cache.hits, warm.cache.misses) == (1, 1)
    assert freshness.get_cached_unchecked(b"1", load) is kept
    assert (warm.cache.hits, warm.cache.misses) == (2, 1)
    commit_elsewhere(connection, 1)
    with pytest.raises(WouldBlockError):
        freshness.get_cached(b"1", load)


def test_what_is_not_cached_is_not_answered_without_a_check_either(connection: Connections, warm: Freshness) -> None:
    with pytest.raises(WouldBlockError):
        freshness.get_cached_unchecked(b"2", lambda: None)
    assert (warm.cache.hits, warm.cache.misses) == (0, 0)
