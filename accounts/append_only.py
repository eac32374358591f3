"""What the database itself refuses: a row of the trail is neither changed nor removed before its time, by any SQL.

The time until which an event is kept is part of the event, so that nobody shortens it; the clock is the database's own.
The rows of the chain are kept for ever. On SQLite a row that exists can't be written over either: REPLACE removes it
without a word to the triggers of a removal.
"""

from collections.abc import Sequence
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

EVENTS: Final = "accounts_auditevent"
CHECKPOINTS: Final = "accounts_auditcheckpoint"
TABLES: Final = (EVENTS, CHECKPOINTS)
REFUSES: Final = "audit_refuses"

_REFUSAL: Final = "SELECT RAISE(ABORT, 'the audit trail is append-only')"
_OVER_ON_SQLITE: Final = "coalesce(OLD.keep_until < strftime('%Y-%m-%d %H:%M:%f', 'now'), 0)"
_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION {REFUSES}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF TG_OP = 'DELETE' AND TG_ARGV[0] = 'in its time' THEN
        IF OLD.keep_until < clock_timestamp() THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END
$body$
"""


_GUARDING: Final = """
SELECT t.tgname, p.prosrc FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = ANY (ARRAY(SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)) AND t.tgenabled = 'A'
    AND t.tgqual IS NULL AND t.tgattr[0] IS NULL
"""


def create_refusals(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers in the database's own words, anew if they are there: for a migration."""
    for statement in _statements(editor.connection):
        editor.execute(statement, None)


def drop_refusals(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the triggers away again."""
    for statement in _dropping(editor.connection):
        editor.execute(statement)


def faults(connection: BaseDatabaseWrapper) -> list[str]:
    """Return which triggers are missing, disabled or others than they were made. Raises `django.db.Error`."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            wanted = {made.split()[2]: made for table in TABLES for made in _on_sqlite(table)}
        else:
            cursor.execute(_GUARDING, [list(TABLES)])
            body = _FUNCTION.split("$body$")[1]
            wanted = {name: body for table in TABLES for name in _names(table) if "replacement" not in name}
        found = dict(cursor.fetchall())
    return [f"the trigger {name} is not in place" for name, made in wanted.items() if found.get(name) != made]


def _statements(connection: BaseDatabaseWrapper) -> Sequence[str]:
    if connection.vendor == "sqlite":
        return [*_dropping(connection), *(made for table in TABLES for made in _on_sqlite(table))]
    return [*_dropping(connection), _FUNCTION, *(made for table in TABLES for made in _on_postgresql(table))]


def _dropping(connection: BaseDatabaseWrapper) -> list[str]:
    if connection.vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for table in TABLES for name in _names(table)]
    return [f"DROP TRIGGER IF EXISTS {name} ON {table}" for table in TABLES for name in _names(table)]


def _names(table: str) -> list[str]:
    return [f"{REFUSES}_{what}_{table}" for what in ("change", "removal", "replacement", "truncation")]


def _on_sqlite(table: str) -> list[str]:
    change, removal, replacement, _ = _names(table)
    key = "id" if table == EVENTS else "number"
    before_its_time = f"WHEN NOT {_OVER_ON_SQLITE} " if table == EVENTS else ""
    there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "  # noqa: S608  # names of ours
    return [
        f"CREATE TRIGGER {change} BEFORE UPDATE ON {table} BEGIN {_REFUSAL}; END",
        f"CREATE TRIGGER {removal} BEFORE DELETE ON {table} {before_its_time}BEGIN {_REFUSAL}; END",
        f"CREATE TRIGGER {replacement} BEFORE INSERT ON {table} {there}BEGIN {_REFUSAL}; END",
    ]


def _on_postgresql(table: str) -> list[str]:
    change, removal, _, truncation = _names(table)
    when = "'in its time'" if table == EVENTS else ""
    made = {
        change: f"BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {REFUSES}()",
        removal: f"BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {REFUSES}({when})",
        truncation: f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {REFUSES}()",
    }
    creating = [f"CREATE TRIGGER {name} {does}" for name, does in made.items()]
    return [*creating, *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}" for name in made)]
