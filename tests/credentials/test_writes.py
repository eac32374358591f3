"""Whether the database takes writes: what says that it does not, and who notices."""

import sqlite3

import psycopg
import pytest
from django.db import DatabaseError, InternalError, OperationalError

from credentials.runtime.database_writes import FULL, READ_ONLY, UNWRITABLE, DatabaseWrites, write_fault
from credentials.usage import flusher as usage
from credentials.usage.counters import UsageCounters
from credentials.usage.flusher import Flusher
from credentials.usage.models import Usage, UsageBatch
from tests.unwritten import nothing_is_kept

pytestmark = pytest.mark.finding("H47")


@pytest.mark.django_db
def test_a_database_that_keeps_nothing_is_noticed_and_so_is_its_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    own, flusher, known = UsageCounters(), Flusher(), DatabaseWrites()
    monkeypatch.setattr(usage, "usage_counters", lambda: own)
    monkeypatch.setattr(usage, "database_writes", lambda: known)
    own.count("api", "paused", 0.1, credential="key_1")
    with nothing_is_kept(), pytest.raises(DatabaseError):
        flusher.flush()
    assert known.fault == READ_ONLY
    flusher.flush()
    assert known.fault == ""
    assert Usage.objects.get().count == 1
    known.fault = READ_ONLY  # as a request noted it, while nothing was counted
    flusher.flush()
    assert known.fault == ""


@pytest.mark.django_db
def test_a_worker_with_nothing_to_write_tries_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    flusher, known = Flusher(), DatabaseWrites()
    own = UsageCounters()
    monkeypatch.setattr(usage, "usage_counters", lambda: own)
    monkeypatch.setattr(usage, "database_writes", lambda: known)
    with nothing_is_kept():
        flusher.flush()
        assert known.fault == ""
        flusher._wrote_at -= usage.MAX_SILENCE
        with pytest.raises(DatabaseError):
            flusher.flush()
    assert known.fault == READ_ONLY
    for _ in range(2):
        flusher.flush()
    assert (known.fault, UsageBatch.objects.count()) == ("", 1)


def error_with_cause(kind: type[DatabaseError], cause: Exception) -> DatabaseError:
    error = kind()
    error.__cause__ = cause
    return error


def of_sqlite(name: str) -> DatabaseError:
    cause = sqlite3.OperationalError("its text")
    cause.sqlite_errorname = name
    return error_with_cause(OperationalError, cause)


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (of_sqlite("SQLITE_FULL"), FULL),
        (of_sqlite("SQLITE_READONLY"), READ_ONLY),
        (of_sqlite("SQLITE_READONLY_DBMOVED"), READ_ONLY),
        (of_sqlite("SQLITE_IOERR_WRITE"), UNWRITABLE),
        (of_sqlite("SQLITE_IOERR_READ"), ""),
        (of_sqlite("SQLITE_BUSY"), ""),
        (error_with_cause(InternalError, psycopg.errors.ReadOnlySqlTransaction()), READ_ONLY),
        (error_with_cause(OperationalError, psycopg.errors.DiskFull()), FULL),
        (error_with_cause(OperationalError, psycopg.OperationalError("away")), ""),
        (OperationalError("of Django"), ""),
    ],
)
def test_what_says_that_nothing_can_be_written_is_known(error: DatabaseError, why: str) -> None:
    assert write_fault(error) == why
    known = DatabaseWrites()
    known.on_error(error)
    assert known.fault == why
    known.on_error(OperationalError("away"))
    assert known.fault == why  # nobody has written meanwhile
    known.on_success()
    assert known.fault == ""
