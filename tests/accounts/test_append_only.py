"""No SQL changes or removes an event of the trail before its time, nor a link of the chain ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from accounts.models import User
from audit.append_only import EVENTS, LINKS
from audit.chain import extend_chain
from audit.event_types import EventType
from audit.models import ChainLink, Event
from audit.services import record_event
from tests.accounts.trail import execute
from tests.conftest import ORIGIN
from tests.staleness import ON_SQLITE

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15"), pytest.mark.security("L-05")]

KEYS = {EVENTS: "id", LINKS: "number"}
COLUMNS = {
    EVENTS: "id, at, verb, actor, subject_type, subject_id, address, peer, request_id, details, keep_until, seal",
    LINKS: "number, at, removed, ids, reach, digest, seal",
}
NEVER = {EVENTS: "verb = 'nothing'", LINKS: "ids = '1'"}
EVERYWHERE = [
    "UPDATE {table} SET {change}",
    "UPDATE {table} SET {key} = {key} + 1000",
    "UPDATE {table} SET at = at",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE {key} IN (SELECT max({key}) FROM {table})",
    "INSERT INTO {table} ({columns}) SELECT * FROM {copy} WHERE true ON CONFLICT ({key}) DO UPDATE SET {change}",
    "WITH old AS (SELECT {key} FROM {table}) UPDATE {table} SET {change} WHERE {key} IN (SELECT {key} FROM old)",
]
SQLITE = [
    *(f"UPDATE OR {how} {{table}} SET {{change}}" for how in ("REPLACE", "IGNORE", "FAIL", "ABORT", "ROLLBACK")),
    "REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table}",
    "INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table}",
    "INSERT OR IGNORE INTO {table} ({columns}) SELECT {columns} FROM {table}",
    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE true ON CONFLICT DO UPDATE SET {change}",
    "REPLACE INTO {table} (rowid, {rest}) SELECT rowid, {rest} FROM {table}",
    "REPLACE INTO {table} (_rowid_, {rest}) SELECT oid, {rest} FROM {table}",
    "UPDATE {table} SET {change} FROM (SELECT 1)",
]
POSTGRESQL = [
    "TRUNCATE {table}",
    "TRUNCATE {table} RESTART IDENTITY CASCADE",
    "DELETE FROM ONLY {table} USING (SELECT 1) AS one",
    "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT count(*) FROM gone",
    "MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    "MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN UPDATE SET {change}",
]
STATEMENTS = [*EVERYWHERE, *(SQLITE if ON_SQLITE else POSTGRESQL)]


@contextmanager
def append_only_refusal() -> Iterator[None]:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        yield


def rows() -> list[object]:
    return [*Event.objects.order_by("pk").values(), *ChainLink.objects.order_by("pk").values()]


@pytest.fixture
def trail(settings: Settings) -> None:
    """Three events of which one could be removed in a day, and a link over them."""
    for days in (0, 3, 0):
        settings.KEYPORTAL_AUDIT_DAYS = days
        with time_machine.travel(datetime.now(UTC) - timedelta(days=2), tick=False):
            record_event(EventType.KEY_CREATED, subject="key:key_1", origin=ORIGIN, environment="live")
    assert extend_chain() == 3


@pytest.mark.parametrize("replicates", [False] if ON_SQLITE else [False, True])
@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_statement_changes_or_removes_a_row(trail: None, table: str, statement: str, replicates: bool) -> None:
    before, columns = rows(), COLUMNS[table]
    written = statement.format(
        table=table,
        key=KEYS[table],
        change=NEVER[table],
        columns=columns,
        rest=columns.partition(", ")[2],
        copy=f"(SELECT {columns} FROM {table}) AS copy",
    )
    if replicates:
        execute("SET LOCAL session_replication_role = replica")
    with append_only_refusal():
        execute(written)
    assert rows() == before


def test_the_trail_can_be_neither_changed_nor_shortened(developer: User) -> None:
    for write in (lambda: Event.objects.update(verb="nothing"), lambda: Event.objects.all().delete()):
        with append_only_refusal():
            write()
    assert Event.objects.filter(verb="user_created").exists()


@pytest.mark.second
def test_what_is_copied_in_takes_no_row_s_place(trail: None) -> None:
    before, first = rows(), Event.objects.order_by("pk").values_list("pk", flat=True)[0]
    row = (first, "now", "x", "x", "x", "x", None, None, "", "{}", None, b"")
    with pytest.raises(psycopg.errors.UniqueViolation), transaction.atomic():
        copy_in(row)
    assert rows() == before


def copy_in(row: tuple[object, ...]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {EVENTS} ({COLUMNS[EVENTS]}) FROM STDIN") as copying:
        copying.write_row(row)


@pytest.mark.parametrize("way", ["orm", "sql"])
def test_an_event_goes_in_its_time_and_not_before(settings: Settings, way: str) -> None:
    def remove(pk: int) -> None:
        if way == "orm":
            Event.objects.filter(pk=pk).delete()
        else:
            execute(f"DELETE FROM {EVENTS} WHERE id = {pk}")

    settings.KEYPORTAL_AUDIT_DAYS = 1
    kept = record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN)
    with time_machine.travel(datetime.now(UTC) - timedelta(days=1, seconds=2), tick=False):
        over = record_event(EventType.KEY_REVOKED, subject="key:1", origin=ORIGIN)
    with time_machine.travel(datetime.now(UTC) - timedelta(days=1) + timedelta(minutes=5), tick=False):
        nearly = record_event(EventType.KEY_EDITED, subject="key:1", origin=ORIGIN)
    settings.KEYPORTAL_AUDIT_DAYS = 0
    with time_machine.travel(datetime.now(UTC) - timedelta(days=1000), tick=False):
        for_ever = record_event(EventType.KEY_LIMITED, subject="key:1", origin=ORIGIN)
    assert for_ever.keep_until is None
    remove(over.pk)
    for event in (kept, nearly, for_ever):
        with append_only_refusal():
            remove(event.pk)
        with append_only_refusal():
            execute(f"UPDATE {EVENTS} SET keep_until = '2001-01-01' WHERE id = {event.pk}")
    assert list(Event.objects.order_by("pk").values_list("verb", flat=True)) == [
        "key_created",
        "key_edited",
        "key_limited",
    ]


def test_a_clock_that_the_portal_is_told_opens_nothing(settings: Settings) -> None:
    """What counts is the database's own time."""
    settings.KEYPORTAL_AUDIT_DAYS = 1
    event = record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=30)), append_only_refusal():
        Event.objects.filter(pk=event.pk).delete()


def test_an_id_is_not_given_twice(settings: Settings) -> None:
    settings.KEYPORTAL_AUDIT_DAYS = 1
    with time_machine.travel(datetime.now(UTC) - timedelta(days=2)):
        over = record_event(EventType.KEY_REVOKED, subject="key:1", origin=ORIGIN)
    Event.objects.filter(pk=over.pk).delete()
    assert record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk > over.pk
    if ON_SQLITE:  # where a table holds what was given last
        latest = Event.objects.latest("pk").pk
        execute("DELETE FROM sqlite_sequence WHERE name = 'audit_event'")
        assert record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk == latest + 1


HIGHEST = 2**63 - 1
BEYOND = [[HIGHEST], [HIGHEST, HIGHEST - 1, 2**62, 2**62 - 1, 2**62 + 1], [2**62], [2**62 - 2], [-1, 0]]


def plant(*ids: int) -> None:
    """Insert events, as anybody can who may insert."""
    row = {"verb": "planted", "actor": "x", "subject_type": "x", "subject_id": "x"}
    Event.objects.bulk_create([Event(id=number, **row, seal=b"") for number in ids])


@pytest.mark.parametrize("planted", BEYOND, ids=str)
def test_an_id_at_the_end_of_all_numbers_stops_nothing(planted: list[int]) -> None:
    """The portal numbers on as long as there is room, and every verb that records an event works."""
    first = record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN)
    plant(*planted)
    later = [record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk for _ in range(5)]
    assert len({first.pk, *planted, *later}) == 6 + len(planted)
    assert all(first.pk < pk <= 2**62 for pk in later)
    assert later == sorted(later) or 2**62 in later


SEQ = (HIGHEST, "'x'", "NULL", "1e300", 0, -5, 2**62 - 1, 2**62)
MOVED_ON_SQLITE = [
    f"DELETE FROM sqlite_sequence WHERE name = '{EVENTS}'",
    *(f"UPDATE sqlite_sequence SET seq = {seq} WHERE name = '{EVENTS}'" for seq in SEQ),
]
MOVED_ON_POSTGRESQL = [
    f"SELECT setval('{EVENTS}_id_seq', 1, false)",
    *(f"SELECT setval('{EVENTS}_id_seq', {value})" for value in (HIGHEST, HIGHEST - 1, 2**62, 2**62 - 1, 1)),
]


@pytest.mark.parametrize("moved", MOVED_ON_SQLITE if ON_SQLITE else MOVED_ON_POSTGRESQL)
def test_a_sequence_that_somebody_has_moved_stops_nothing(moved: str) -> None:
    before = [record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk for _ in range(3)]
    execute(moved)
    after = [record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk for _ in range(3)]
    assert len({*before, *after}) == 6
    assert max(after) <= 2**62


def test_an_id_that_somebody_has_taken_is_left_out() -> None:
    first = record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk
    plant(first + 1, first + 2)
    assert record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN).pk == first + 3
