"""Triggers that keep the audit trail append-only: no SQL changes a row of it, or removes one before its time.

The time until which an event is kept is part of the event, so it can't be shortened; the clock is the database's own.
The rows of the chain are kept for ever. On SQLite a third trigger keeps REPLACE from overwriting a row, because REPLACE
deletes the old row without firing delete triggers.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

EVENTS: Final = "audit_event"
LINKS: Final = "audit_chainlink"
TABLES: Final = (EVENTS, LINKS)
REFUSES: Final = "audit_refuses"
PATH: Final = "search_path=pg_catalog, pg_temp"

_REFUSAL: Final = "SELECT RAISE(ABORT, 'the audit trail is append-only')"
_EXPIRED_ON_SQLITE: Final = "coalesce(OLD.keep_until < strftime('%Y-%m-%d %H:%M:%f', 'now'), 0)"
# Operators are schema-qualified as well, so that a changed search path can't substitute others.
_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION {REFUSES}() RETURNS trigger LANGUAGE plpgsql SET {PATH.replace("=", " = ")} AS $body$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' AND TG_ARGV[0] OPERATOR(pg_catalog.=) 'in its time' THEN
        IF OLD.keep_until OPERATOR(pg_catalog.<) pg_catalog.clock_timestamp() THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END
$body$
"""


class Trigger(NamedTuple):
    """A trigger on PostgreSQL, which calls the function."""

    name: str
    table: str
    event: str
    type: int
    """As in `pg_trigger.tgtype`: 1 for each row, 2 for before, plus the event's value."""
    arguments: tuple[str, ...] = ()

    def statements(self) -> list[str]:
        """Return the SQL that creates it, so that it fires whatever `session_replication_role` is."""
        each, given = ("ROW" if self.type & 1 else "STATEMENT"), ", ".join(f"'{text}'" for text in self.arguments)
        making = f"BEFORE {self.event} ON {self.table} FOR EACH {each} EXECUTE FUNCTION {REFUSES}({given})"
        return [f"CREATE TRIGGER {self.name} {making}", f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}"]


def create_refusals(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Create or replace the triggers, for a migration."""
    for statement in _statements(editor.connection):
        editor.execute(statement, None)


def drop_refusals(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers, to reverse a migration."""
    for statement in _drop_statements(editor.connection):
        editor.execute(statement)


def body() -> str:
    """Return the function's source as it is in PostgreSQL's catalogue."""
    return _FUNCTION.split("$body$")[1]


def sqlite_triggers(table: str) -> dict[str, str]:
    """Return the statements that create a table's triggers on SQLite, by name."""
    change, removal, replacement, _ = _names(table)
    key = "id" if table == EVENTS else "number"
    before_its_time = f"WHEN NOT {_EXPIRED_ON_SQLITE} " if table == EVENTS else ""
    there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "  # noqa: S608  # names of ours
    return {
        change: f"CREATE TRIGGER {change} BEFORE UPDATE ON {table} BEGIN {_REFUSAL}; END",
        removal: f"CREATE TRIGGER {removal} BEFORE DELETE ON {table} {before_its_time}BEGIN {_REFUSAL}; END",
        replacement: f"CREATE TRIGGER {replacement} BEFORE INSERT ON {table} {there}BEGIN {_REFUSAL}; END",
    }


def postgresql_triggers(table: str) -> list[Trigger]:
    """Return a table's triggers on PostgreSQL."""
    change, removal, _, truncation = _names(table)
    return [
        Trigger(change, table, "UPDATE", 1 + 2 + 16),
        Trigger(removal, table, "DELETE", 1 + 2 + 8, ("in its time",) if table == EVENTS else ()),
        Trigger(truncation, table, "TRUNCATE", 2 + 32),
    ]


def _statements(connection: BaseDatabaseWrapper) -> Sequence[str]:
    if connection.vendor == "sqlite":
        return [*_drop_statements(connection), *(made for table in TABLES for made in sqlite_triggers(table).values())]
    triggers = (trigger for table in TABLES for trigger in postgresql_triggers(table))
    return [*_drop_statements(connection), _FUNCTION, *(made for trigger in triggers for made in trigger.statements())]


def _drop_statements(connection: BaseDatabaseWrapper) -> list[str]:
    if connection.vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for table in TABLES for name in _names(table)]
    return [f"DROP TRIGGER IF EXISTS {name} ON {table}" for table in TABLES for name in _names(table)]


def _names(table: str) -> list[str]:
    return [f"{REFUSES}_{what}_{table}" for what in ("change", "removal", "replacement", "truncation")]
