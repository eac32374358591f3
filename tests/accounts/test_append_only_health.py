"""What guards the trail is compared as a whole: nothing of the same name, beside it or in its place passes for it."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from audit.append_only import _FUNCTION, EVENTS, _statements
from audit.append_only_health import STATE, faults
from audit.event_types import EventType
from audit.services import record_event
from tests.accounts.trail import execute
from tests.conftest import ORIGIN
from tests.staleness import ON_SQLITE

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15")]

REMOVAL = f"audit_refuses_removal_{EVENTS}"
CHANGE = f"audit_refuses_change_{EVENTS}"
CALLS = "EXECUTE FUNCTION audit_refuses('in its time')"
FUNCTION = "the function audit_refuses is not the one that the migrations created"
OTHER = "is not the one that the migrations created"
ALWAYS = f"ALTER TABLE {EVENTS} ENABLE ALWAYS TRIGGER {REMOVAL}"
ANEW = "CREATE OR REPLACE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql"


def remake(how: str) -> tuple[str, ...]:
    """Make PostgreSQL's trigger anew under its own name."""
    return (f"DROP TRIGGER {REMOVAL} ON {EVENTS}", f"CREATE TRIGGER {REMOVAL} {how}", ALWAYS)


POSTGRESQL = [
    ((f"DROP TRIGGER {REMOVAL} ON {EVENTS}",), f"the trigger {REMOVAL} is missing"),
    ((f"ALTER TABLE {EVENTS} ENABLE TRIGGER {REMOVAL}",), f"the trigger {REMOVAL} does not always fire"),
    ((f"ALTER TABLE {EVENTS} ENABLE REPLICA TRIGGER {REMOVAL}",), f"the trigger {REMOVAL} does not always fire"),
    ((f"ALTER TABLE {EVENTS} DISABLE TRIGGER USER",), f"the trigger {CHANGE} does not always fire"),
    (remake(f"BEFORE TRUNCATE ON {EVENTS} FOR EACH STATEMENT {CALLS}"), f"the trigger {REMOVAL} {OTHER}"),
    (remake(f"BEFORE DELETE ON {EVENTS} FOR EACH STATEMENT {CALLS}"), f"the trigger {REMOVAL} {OTHER}"),
    (remake(f"AFTER DELETE ON {EVENTS} FOR EACH ROW {CALLS}"), f"the trigger {REMOVAL} {OTHER}"),
    (remake(f"BEFORE DELETE ON {EVENTS} FOR EACH ROW WHEN (OLD.id < 0) {CALLS}"), f"the trigger {REMOVAL} {OTHER}"),
    (remake(f"BEFORE DELETE ON {EVENTS} FOR EACH ROW {CALLS.partition('(')[0]}()"), f"the trigger {REMOVAL} {OTHER}"),
    (
        (
            f"DROP TRIGGER {CHANGE} ON {EVENTS}",
            f"CREATE TRIGGER {CHANGE} BEFORE UPDATE OF verb ON {EVENTS} FOR EACH ROW EXECUTE FUNCTION audit_refuses()",
            f"ALTER TABLE {EVENTS} ENABLE ALWAYS TRIGGER {CHANGE}",
        ),
        f"the trigger {CHANGE} {OTHER}",
    ),
    (
        (
            "CREATE FUNCTION passes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
            *remake(f"BEFORE DELETE ON {EVENTS} FOR EACH ROW EXECUTE FUNCTION passes('in its time')"),
        ),
        f"the trigger {REMOVAL} {OTHER}",
    ),
    (
        (
            "CREATE SCHEMA astray",
            _FUNCTION.replace("audit_refuses", "astray.audit_refuses"),
            *remake(f"BEFORE DELETE ON {EVENTS} FOR EACH ROW {CALLS.replace('audit', 'astray.audit')}"),
        ),
        FUNCTION,
    ),
    ((f"{ANEW} AS 'BEGIN RETURN NEW; END'",), FUNCTION),
    (("ALTER FUNCTION audit_refuses() SET search_path = public, pg_catalog",), FUNCTION),
    (("ALTER FUNCTION audit_refuses() RESET ALL",), FUNCTION),
    (("ALTER FUNCTION audit_refuses() SET lock_timeout = 1",), FUNCTION),
    (("ALTER FUNCTION audit_refuses() SECURITY DEFINER",), FUNCTION),
    ((f"ALTER TABLE {EVENTS} ENABLE ROW LEVEL SECURITY",), f"{EVENTS} may hide rows: it has row-level security"),
    ((f"ALTER TABLE {EVENTS} FORCE ROW LEVEL SECURITY",), f"{EVENTS} may hide rows: it has row-level security"),
    (
        (f"ALTER TABLE {STATE} ENABLE ROW LEVEL SECURITY",),
        f"{STATE} may hide rows: it has row-level security",
    ),
    (
        (f"CREATE RULE swallows AS ON INSERT TO {EVENTS} DO INSTEAD NOTHING",),
        f"{EVENTS} has rules, which can rewrite statements",
    ),
    ((f"CREATE TABLE more () INHERITS ({EVENTS})",), f"{EVENTS} shares rows with a table that inherits"),
    ((f"ALTER TABLE {STATE} SET UNLOGGED",), f"{STATE} does not survive a crash"),
    (
        (f"ALTER TABLE {EVENTS} RENAME TO hidden", f"CREATE VIEW {EVENTS} AS SELECT * FROM hidden"),
        f"{EVENTS} is not a table",
    ),
    ((f"ALTER TABLE {EVENTS} RENAME TO hidden",), f"the table {EVENTS} is missing"),
    (
        (
            "CREATE FUNCTION swallows() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            f"CREATE TRIGGER aaa BEFORE INSERT ON {EVENTS} FOR EACH ROW EXECUTE FUNCTION swallows()",
        ),
        f"aaa is a trigger on {EVENTS} that is not the portal's",
    ),
]
SQLITE = [
    ((f"DROP TRIGGER {REMOVAL}",), f"the trigger {REMOVAL} is missing"),
    (
        (f"DROP TRIGGER {CHANGE}", f"CREATE TRIGGER {CHANGE} BEFORE UPDATE ON {EVENTS} BEGIN SELECT 1; END"),
        f"the trigger {CHANGE} {OTHER}",
    ),
    (
        (
            f"DROP TRIGGER {REMOVAL}",
            f"CREATE TRIGGER {REMOVAL} BEFORE DELETE ON accounts_user BEGIN SELECT RAISE(ABORT, 'append-only'); END",
        ),
        f"the trigger {REMOVAL} is missing",
    ),
    (
        (f"CREATE TRIGGER aaa BEFORE INSERT ON {EVENTS} BEGIN SELECT RAISE(IGNORE); END",),
        f"aaa is a trigger on {EVENTS} that is not the portal's",
    ),
    (
        (f"CREATE TEMP TRIGGER aaa BEFORE INSERT ON main.{EVENTS.upper()} BEGIN SELECT RAISE(IGNORE); END",),
        f"aaa is a trigger on {EVENTS} that is not the portal's",
    ),
    (
        (
            "PRAGMA legacy_alter_table = ON",
            f"ALTER TABLE {EVENTS} RENAME TO hidden",
            f"CREATE VIEW {EVENTS} AS SELECT * FROM hidden",
        ),
        f"the table {EVENTS} is missing",
    ),
    (
        (f"ALTER TABLE {EVENTS} RENAME TO hidden", f"ALTER TABLE hidden RENAME TO {EVENTS}"),
        f"the trigger {REMOVAL} {OTHER}",
    ),
]
TAMPERING = SQLITE if ON_SQLITE else POSTGRESQL
MENDED = [row for row in TAMPERING if "the trigger" in row[1] or "the function" in row[1]]
"""The rest an operator takes away by hand."""


@pytest.fixture(autouse=True)
def _pragma_is_put_back() -> Iterator[None]:
    yield
    if ON_SQLITE:
        execute("PRAGMA legacy_alter_table = OFF")


def test_what_the_migrations_made_has_no_fault() -> None:
    assert faults(connection) == []


@pytest.mark.parametrize(("statements", "fault"), TAMPERING)
def test_what_is_not_as_the_migrations_made_it_is_named(statements: tuple[str, ...], fault: str) -> None:
    execute(*statements)
    assert fault in faults(connection)


@pytest.mark.parametrize(("statements", "fault"), MENDED)
def test_the_command_makes_the_triggers_anew(statements: tuple[str, ...], fault: str) -> None:
    execute(*statements)
    execute(*_statements(connection))  # what `createtriggers` does, in a transaction of its own
    assert faults(connection) == []


ASTRAY = """
CREATE SCHEMA astray;
CREATE FUNCTION astray.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'infinity'::timestamptz $$;
CREATE FUNCTION astray.yes(timestamptz, timestamptz) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION astray.yes(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR astray.< (leftarg = timestamptz, rightarg = timestamptz, function = astray.yes);
CREATE OPERATOR astray.= (leftarg = text, rightarg = text, function = astray.yes);
ALTER FUNCTION audit_refuses() SET search_path = astray, pg_catalog;
"""


@pytest.mark.second
@pytest.mark.parametrize("days", [0, 30])
def test_a_function_that_is_led_astray_refuses_all_the_same(settings: Settings, days: int) -> None:
    settings.KEYPORTAL_AUDIT_DAYS = days
    record_event(EventType.KEY_CREATED, subject="key:1", origin=ORIGIN)
    execute(ASTRAY)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        execute(f"DELETE FROM {EVENTS}")
    assert faults(connection) == [FUNCTION]
