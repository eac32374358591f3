"""Check that the trail has exactly the triggers that the migrations made (`audit.append_only`).

A trigger's name proves nothing: the trigger may have been recreated for another event, its function may use other
operators, a policy may hide rows, and another trigger may swallow what the portal writes. So all parts of the catalogue
on which the refusal rests are compared.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from audit.append_only import PATH, REFUSES, TABLES, body, postgresql_triggers, sqlite_triggers

STATE: Final = "audit_chainstate"
GUARDED_TABLES: Final = (*TABLES, STATE)
_ON_SQLITE: Final = """
SELECT type, name, lower(tbl_name), sql FROM (SELECT * FROM sqlite_master UNION ALL SELECT * FROM sqlite_temp_master)
WHERE lower(tbl_name) IN (%s, %s, %s) AND type <> 'index'
"""
_TABLES: Final = """
SELECT c.relname, c.relkind::text = 'r', c.relpersistence::text = 'p', c.relrowsecurity OR c.relforcerowsecurity,
    EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid),
    EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE c.oid IN (inhparent, inhrelid))
FROM unnest(%(tables)s::text[]) AS name JOIN pg_catalog.pg_class c ON c.oid = to_regclass(name)
"""
_TRIGGERS: Final = """
SELECT c.relname, t.tgname, t.tgenabled::text = 'A',
    ARRAY[t.tgtype, t.tgdeferrable::int, t.tginitdeferred::int, (t.tgqual IS NOT NULL)::int, coalesce(t.tgattr[0], 0)],
    encode(t.tgargs, 'escape'), p.proname,
    p.prosrc = %(body)s AND p.pronamespace = c.relnamespace AND l.lanname = 'plpgsql' AND p.proconfig = %(settings)s
        AND NOT p.prosecdef AND p.prokind::text = 'f'
FROM unnest(%(tables)s::text[]) AS name JOIN pg_catalog.pg_class c ON c.oid = to_regclass(name)
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE NOT t.tgisinternal
"""


def faults(connection: BaseDatabaseWrapper) -> list[str]:
    """Return messages about what no longer guards the trail, or hides part of it. Raises `django.db.Error`."""
    with connection.cursor() as cursor:
        found = _on_sqlite(cursor) if connection.vendor == "sqlite" else _on_postgresql(cursor)
        return list(dict.fromkeys(found))


def _on_sqlite(cursor: Any) -> Iterator[str]:
    cursor.execute(_ON_SQLITE, GUARDED_TABLES)
    rows = cursor.fetchall()
    tables = {name for kind, name, _, _ in rows if kind == "table"}
    yield from (f"the table {name} is missing" for name in GUARDED_TABLES if name not in tables)
    triggers = {name: (table, sql) for kind, name, table, sql in rows if kind == "trigger"}
    expected = {name: (table, sql) for table in TABLES for name, sql in sqlite_triggers(table).items()}
    for name, made in expected.items():
        if name not in triggers:
            yield f"the trigger {name} is missing"
        elif triggers[name] != made:
            yield f"the trigger {name} is not the one that the migrations created"
    yield from (
        f"{name} is a trigger on {triggers[name][0]} that is not the portal's" for name in triggers.keys() - expected
    )


def _on_postgresql(cursor: Any) -> Iterator[str]:
    given = {"tables": list(GUARDED_TABLES), "body": body(), "settings": [PATH]}
    cursor.execute(_TABLES, given)
    yield from _table_faults({name: rest for name, *rest in cursor.fetchall()})
    cursor.execute(_TRIGGERS, given)
    found = {(table, name): rest for table, name, *rest in cursor.fetchall()}
    expected = {(table, trigger.name): trigger for table in TABLES for trigger in postgresql_triggers(table)}
    for key, trigger in expected.items():
        if key not in found:
            yield f"the trigger {trigger.name} is missing"
            continue
        always, how, arguments, function, is_as_made = found[key]
        if not always:
            yield f"the trigger {trigger.name} does not always fire"
        given_arguments = "".join(f"{argument}\\000" for argument in trigger.arguments)
        if (how, arguments, function) != ([trigger.type, 0, 0, 0, 0], given_arguments, REFUSES):
            yield f"the trigger {trigger.name} is not the one that the migrations created"
        elif not is_as_made:
            yield f"the function {REFUSES} is not the one that the migrations created"
    yield from (f"{name} is a trigger on {table} that is not the portal's" for table, name in found.keys() - expected)


def _table_faults(found: dict[str, list[bool]]) -> Iterator[str]:
    for name in GUARDED_TABLES:
        if name not in found:
            yield f"the table {name} is missing"
            continue
        is_table, is_kept, hides, has_rules, inherits = found[name]
        checks = {
            "is not a table": not is_table,
            "does not survive a crash": not is_kept,
            "may hide rows: it has row-level security": hides,
            "has rules, which can rewrite statements": is_table and has_rules,
            "shares rows with a table that inherits": inherits,
        }
        yield from (f"{name} {fault}" for fault, is_so in checks.items() if is_so)
