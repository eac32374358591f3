"""SQLite: the triggers that record the changes of what verdicts depend on, in the transaction that makes the change.

A worker needs none of them, because SQLite shows it each commit (`credentials.verified_cache.freshness`). They are for
verifiers in other processes, which ask what has changed (`credentials.verified_cache.change_table`).

Every insert, update and delete is recorded, also one that changes nothing that a verdict reads: so the triggers stay
right when a column is added, and `INSERT OR REPLACE`, which runs no trigger for the row that it deletes, is one too.
Django's migrations drop the triggers of a table that they rebuild: a later one has to run `create_triggers` again.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from credentials.verified_cache.trigger_health import Cursor
from credentials.verified_cache.verdict_tables import EVERYTHING, VERDICT_TABLES, VerdictTable

TABLE: Final = "credentials_recordedchange"
PREFIX: Final = "keyportal_change_"
_EXISTING: Final = f"SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '{PREFIX}*'"  # noqa: S608
_RECORD: Final = f"INSERT INTO {TABLE} (nonce, tag) SELECT lower(hex(randomblob(8))), "  # a name of ours
FIRST_ROW: Final = f"{_RECORD}'{EVERYTHING}' WHERE NOT EXISTS (SELECT 1 FROM {TABLE})"  # noqa: S608  # names of ours
"""A table without rows has no place to begin at."""


def sources() -> Mapping[str, str]:
    """Return the SQL that creates each trigger, by the trigger's name, as SQLite keeps it."""
    return {name: source for table in VERDICT_TABLES for name, source in _of_table(table)}


def faults(cursor: Cursor) -> list[str]:
    """Return the faults that keep changes from being recorded, as messages for the operator; empty if there are none.

    Raises the driver's database error.
    """
    cursor.execute(_EXISTING)
    expected, found = sources(), dict(cursor.fetchall())
    wrong = sorted(name for name in found if found[name] != expected.get(name))
    return [
        *(f"the trigger {name} is missing" for name in expected if name not in found),
        *(f"the trigger {name} is not one that the migrations created" for name in wrong),
    ]


def creating_statements(tables: Collection[str]) -> list[str]:
    """Return the SQL that creates or replaces the triggers of these tables."""
    made = [source for table in VERDICT_TABLES if table.table in tables for _, source in _of_table(table)]
    return [*dropping_statements(), *made, FIRST_ROW]


def dropping_statements() -> list[str]:
    """Return the SQL that drops the triggers."""
    return [f"DROP TRIGGER IF EXISTS {name}" for name in sources()]


def _of_table(table: VerdictTable) -> Iterator[tuple[str, str]]:
    for event in ("INSERT", "UPDATE", "DELETE"):
        if event in table.events or event == "INSERT":
            name = f"{PREFIX}{table.table}_{event.lower()}"
            yield name, f"CREATE TRIGGER {name} AFTER {event} ON {table.table} BEGIN {_record(table, event)} END"


def _record(table: VerdictTable, event: str) -> str:
    if not table.kind:
        return f"{_RECORD}'{EVERYTHING}';"
    row = "OLD" if event == "DELETE" else "NEW"
    one = f"{_RECORD}'{table.kind}:' || {row}.{table.column};"
    if event != "UPDATE":
        return one
    other = f"{_RECORD}'{table.kind}:' || OLD.{table.column} WHERE OLD.{table.column} IS NOT NEW.{table.column};"
    return f"{one} {other}"
