"""Check that the triggers that announce changes are as the migrations made them, in the same database as before.

A listener can't tell a trigger that does not fire from a database in which nothing changes. So each heartbeat reads
the rows of PostgreSQL's catalogue on which the guarantee rests: their ids and versions, which is cheap. Only if these
differ from the last heartbeat's is the catalogue compared with `credentials.verified_cache.triggers`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, Self

from credentials.verified_cache.changes import Position
from credentials.verified_cache.triggers import COUNTER, NOTIFY, SETTINGS, TABLES, TRIGGERS, Trigger, body


class Cursor(Protocol):
    """A cursor of a driver (the listener's, the feed's) or of Django (for readiness)."""

    def execute(self, query: Any, parameters: Any = ..., /) -> Any:
        """Execute a query."""

    def fetchone(self) -> Any:
        """Return the next row."""

    def fetchall(self) -> list[Any]:
        """Return all remaining rows."""


class DatabaseState(NamedTuple):
    """The state of the database that a heartbeat read."""

    counter: Position | None
    """The change counter; None if its row is missing."""
    versions: tuple[object, ...]
    """The identity of the database, and ids and versions of all catalogue rows that the guarantee rests on."""

    @classmethod
    def of_row(cls, row: Sequence[str | None]) -> Self:
        """Return the state for the row that `HEARTBEAT_QUERY` selects."""
        _, counter, *versions = row
        if counter is None:
            return cls(None, tuple(versions))
        identity, n, nonce = counter.split(" ", 2)
        return cls(Position(int(n), nonce), (identity, *versions))


_NAMES: Final = [f"'{table}'" for table in TABLES]
_VERDICT_TABLES: Final = f"""
WITH verdict_tables AS MATERIALIZED (
    SELECT c.oid, c.xmin, c.relname, c.relkind, c.relnamespace, c.relrowsecurity
    FROM pg_catalog.pg_class c
    WHERE c.oid = ANY (ARRAY(SELECT to_regclass(name)::oid FROM unnest(ARRAY[{", ".join(_NAMES)}]) AS name))
), triggers AS MATERIALIZED (
    SELECT t.*, t.xmin AS version, w.relname, w.relnamespace
    FROM pg_catalog.pg_trigger t JOIN verdict_tables w ON w.oid = t.tgrelid WHERE NOT t.tgisinternal
)
"""  # noqa: S608  # names of ours
HEARTBEAT_QUERY: Final = f"""{_VERDICT_TABLES}
SELECT
    pg_catalog.pg_notify($1, $2),
    (SELECT concat_ws(' ', identity, n, nonce) FROM {COUNTER}),
    (SELECT string_agg(concat(oid, ':', xmin), ' ' ORDER BY oid) FROM verdict_tables),
    (SELECT string_agg(concat(oid, ':', version), ' ' ORDER BY oid) FROM triggers),
    (SELECT string_agg(concat(oid, ':', xmin), ' ' ORDER BY oid) FROM pg_catalog.pg_proc
        WHERE oid = ANY (ARRAY(SELECT tgfoid FROM triggers))),
    (SELECT md5(string_agg(xmin::text, ' ' ORDER BY attrelid, attnum)) FROM pg_catalog.pg_attribute
        WHERE attrelid = ANY (ARRAY(SELECT oid FROM verdict_tables)) AND attnum > 0),
    (SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhparent = ANY (ARRAY(SELECT oid FROM verdict_tables))),
    (SELECT string_agg(concat(oid, ':', xmin), ' ' ORDER BY oid) FROM pg_catalog.pg_rewrite
        WHERE ev_class = ANY (ARRAY(SELECT oid FROM verdict_tables)))
"""  # noqa: S608
"""Send a heartbeat ($2) to a channel ($1) and read the state, in one statement."""
_TABLES: Final = f"""{_VERDICT_TABLES}
SELECT relname, relkind, EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = verdict_tables.oid),
    relrowsecurity, EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = verdict_tables.oid),
    relnamespace::regnamespace::text || '.{COUNTER}'
FROM verdict_tables
"""  # noqa: S608
_TRIGGERS: Final = f"""{_VERDICT_TABLES}
SELECT t.relname, t.tgname, t.tgenabled, p.proname,
    ARRAY[t.tgtype::int, t.tgdeferrable::int, t.tginitdeferred::int, (t.tgqual IS NOT NULL)::int, t.tgattr[0]],
    encode(t.tgargs, 'escape'),
    has_table_privilege(p.proowner, c.oid, 'SELECT') AND has_table_privilege(p.proowner, c.oid, 'UPDATE'),
    p.prosrc, p.pronamespace = t.relnamespace AND p.prosecdef AND l.lanname = 'plpgsql' AND p.proconfig = %(settings)s
FROM triggers t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    LEFT JOIN verdict_tables c ON c.relname = '{COUNTER}'
"""  # noqa: S608


def faults(cursor: Cursor) -> list[str]:
    """Return the faults that keep changes from being announced, as messages for the operator; empty if there are none.

    Raises the driver's database error.
    """
    cursor.execute(_TABLES)
    tables = {name: rest for name, *rest in cursor.fetchall()}
    cursor.execute(_TRIGGERS, {"settings": [SETTINGS]})
    found = {(table, name): rest for table, name, *rest in cursor.fetchall()}
    return list(dict.fromkeys([*_table_faults(tables), *_trigger_faults(tables, found)]))


def summary(found: Sequence[str]) -> str:
    """Return the first fault and the number of others in one line; empty if there are none."""
    more = f" (and {len(found) - 1} more)" if found[1:] else ""
    return f"{found[0]}{more}" if found else ""


def _table_faults(tables: dict[str, list[Any]]) -> Iterator[str]:
    for name in TABLES:
        if name not in tables:
            yield f"the table {name} is missing"
        elif tables[name][0] not in ("r", b"r"):
            yield f"{name} is not a table"
        elif tables[name][1]:
            yield f"rows of {name} may be in a table that inherits from it"
        elif tables[name][2]:
            yield f"row-level security may hide rows of {name}"
        elif tables[name][3]:
            yield f"a rule may change what is written to {name}"


def _trigger_faults(tables: dict[str, list[Any]], found: dict[tuple[str, str], list[Any]]) -> Iterator[str]:
    for trigger in TRIGGERS:
        if trigger.table not in tables:
            continue
        row = found.get((trigger.table, trigger.name))
        fault = "is missing" if row is None else _fault(trigger, *row[:-3])
        if fault:
            yield f"the trigger {trigger.name} on {trigger.table} {fault}"
        elif row and (not row[-1] or row[-2] != body(trigger.function, counter=tables[trigger.table][-1])):
            yield f"the function {trigger.function} is not the one that the migrations created"
        elif row and trigger.function == NOTIFY and not row[-3]:
            yield f"the owner of the function {NOTIFY} can't write to {COUNTER}, so nothing can be changed"


def _fault(trigger: Trigger, enabled: str | bytes, function: str, how: Sequence[int | None], arguments: str) -> str:
    if enabled not in ("A", b"A"):
        return "is disabled" if enabled in ("D", b"D") else "does not always fire"
    expected = [trigger.type, int(trigger.deferred), int(trigger.deferred), 0, None]
    given = "".join(f"{argument}\\000" for argument in trigger.arguments)
    if (function, list(how), arguments) != (trigger.function, expected, given):
        return "is not the one that the migrations created"
    return ""
