"""Currency on SQLite, thread by thread: what a connection has seen, and what it can't know."""

import sqlite3
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from credentials.freshness import Freshness

pytestmark = pytest.mark.once  # the other database has a listener: test_cut_off


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The run's SQLite file, outside any transaction; nothing of it is changed but its user_version."""
    with django_db_blocker.unblock():
        yield str(settings.DATABASES["default"]["NAME"])
        connection.close()


def commit_elsewhere(database: str, number: int) -> None:
    with sqlite3.connect(database) as other:
        other.execute(f"PRAGMA user_version = {number}")
    other.close()


def test_only_a_commit_makes_it_forget(database: str) -> None:
    fresh = Freshness()
    first = fresh.current()
    assert first is not None
    assert [fresh.current() for _ in range(3)] == [first] * 3
    commit_elsewhere(database, 1)
    second = fresh.current()
    assert second != first
    assert fresh.current() == second


def test_its_own_connection_s_changes_make_it_forget(database: str) -> None:
    fresh = Freshness()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE own (x)")
        before = fresh.current()
        cursor.execute("INSERT INTO own VALUES (1)")
        assert fresh.current() != before
        cursor.execute("DROP TABLE own")


def test_in_a_transaction_nothing_is_recalled(database: str) -> None:
    fresh = Freshness()
    with transaction.atomic():
        assert fresh.current() is None
    assert fresh.current() is not None


def test_a_new_connection_does_not_trust_what_others_kept(database: str) -> None:
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
    fresh.settle()  # nothing to wait for: the next request looks by itself
    fresh.lose()
    assert fresh.current() != before
