"""What the database itself refuses: a row of the trail is neither changed nor removed before its time, by any SQL.

The time until which an event is kept is part of the event, so that nobody shortens it; the clock is the database's own.
The rows of the chain are kept for ever. On SQLite a row that exists can't be written over either: REPLACE removes it
without a word to the triggers of a removal.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

EVENTS: Final = "accounts_auditevent"
CHECKPOINTS: Final = "accounts_auditcheckpoint"
TABLES: Final = (EVENTS, CHECKPOINTS)
REFUSES: Final = "audit_refuses"
PATH: Final = "search_path=pg_catalog, pg_temp"

_REFUSAL: Final = "SELECT RAISE(ABORT, 'the audit trail is append-only')"
_OVER_ON_SQLITE: Final = "coalesce(OLD.keep_until < strftime('%Y-%m-%d %H:%M:%f', 'now'), 0)"
# Every operator is named with its schema as well: whoever leads the function to others leads it nowhere.
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
    """One of PostgreSQL's, which call the function."""

    name: str
    table: str
    event: str
    type: int
    """As its catalogue writes it: 1 for each row, 2 before, and the event."""
    arguments: tuple[str, ...] = ()

    def statements(self) -> list[str]:
        """Return what makes it, so that it fires also where `session_replication_role` says that no trigger should."""
        each, given = ("ROW" if self.type & 1 else "STATEMENT"), ", ".join(f"'{text}'" for text in self.arguments)
        making = f"BEFORE {self.event} ON {self.table} FOR EACH {each} EXECUTE FUNCTION {REFUSES}({given})"
        return [f"CREATE TRIGGER {self.name} {making}", f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}"]


def create_refusals(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers in the database's own words, anew if they are there: for a migration."""
    for statement in _statements(editor.connection):
        editor.execute(statement, None)


def drop_refusals(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the triggers away again."""
    for statement in _dropping(editor.connection):
        editor.execute(statement)


def body() -> str:
    """Return the function's text as PostgreSQL's catalogue has it."""
    return _FUNCTION.split("$body$")[1]


def sqlite_triggers(table: str) -> dict[str, str]:
    """Return the statements that make the triggers of a table on SQLite, by their names."""
    change, removal, replacement, _ = _names(table)
    key = "id" if table == EVENTS else "number"
    before_its_time = f"WHEN NOT {_OVER_ON_SQLITE} " if table == EVENTS else ""
    there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "  # noqa: S608  # names of ours
    return {
        change: f"CREATE TRIGGER {change} BEFORE UPDATE ON {table} BEGIN {_REFUSAL}; END",
        removal: f"CREATE TRIGGER {removal} BEFORE DELETE ON {table} {before_its_time}BEGIN {_REFUSAL}; END",
        replacement: f"CREATE TRIGGER {replacement} BEFORE INSERT ON {table} {there}BEGIN {_REFUSAL}; END",
    }


def postgresql_triggers(table: str) -> list[Trigger]:
    """Return the triggers of a table on PostgreSQL."""
    change, removal, _, truncation = _names(table)
    return [
        Trigger(change, table, "UPDATE", 1 + 2 + 16),
        Trigger(removal, table, "DELETE", 1 + 2 + 8, ("in its time",) if table == EVENTS else ()),
        Trigger(truncation, table, "TRUNCATE", 2 + 32),
    ]


def _statements(connection: BaseDatabaseWrapper) -> Sequence[str]:
    if connection.vendor == "sqlite":
        return [*_dropping(connection), *(made for table in TABLES for made in sqlite_triggers(table).values())]
    triggers = (trigger for table in TABLES for trigger in postgresql_triggers(table))
    return [*_dropping(connection), _FUNCTION, *(made for trigger in triggers for made in trigger.statements())]


def _dropping(connection: BaseDatabaseWrapper) -> list[str]:
    if connection.vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for table in TABLES for name in _names(table)]
    return [f"DROP TRIGGER IF EXISTS {name} ON {table}" for table in TABLES for name in _names(table)]


def _names(table: str) -> list[str]:
    return [f"{REFUSES}_{what}_{table}" for what in ("change", "removal", "replacement", "truncation")]
