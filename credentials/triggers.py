"""Triggers in PostgreSQL that tell every listening process of a change, whoever makes it: page, admin, SQL by hand.

A notice names what changed, `key:key_…`, or `*` for what can't be named. Migrations use this; on SQLite they do
nothing, because its own version counter is enough (`credentials.freshness`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

FUNCTION = """
CREATE FUNCTION keyportal_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('keyportal', '*');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('keyportal', TG_ARGV[0] || ':' || (to_jsonb(OLD) ->> TG_ARGV[1]));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('keyportal', TG_ARGV[0] || ':' || (to_jsonb(NEW) ->> TG_ARGV[1]));
    END IF;
    RETURN NULL;
END $$
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A table that verdicts depend on: how notices call its rows, and on what they are sent."""

    table: str
    kind: str = ""
    """`key`, `user` or `token`; empty if a change of any row changes every verdict."""
    column: str = "id"
    """Which column names the row."""
    events: str = "UPDATE OR DELETE"

    def statements(self) -> list[str]:
        """Give the SQL that makes the triggers."""
        each = "ROW" if self.kind else "STATEMENT"
        arguments = f"'{self.kind}', '{self.column}'" if self.kind else ""
        does = f"EXECUTE FUNCTION keyportal_changed({arguments})"
        emptied = "FOR EACH STATEMENT EXECUTE FUNCTION keyportal_changed()"
        return [
            f"CREATE TRIGGER keyportal_changed AFTER {self.events} ON {self.table} FOR EACH {each} {does}",
            f"CREATE TRIGGER keyportal_emptied AFTER TRUNCATE ON {self.table} {emptied}",
        ]

    def undoing(self) -> list[str]:
        """Give the SQL that takes them away."""
        return [f"DROP TRIGGER {name} ON {self.table}" for name in ("keyportal_changed", "keyportal_emptied")]


def watch(*tables: Watched) -> migrations.RunPython:
    """Give the operation that makes the triggers of these tables."""
    making = [statement for table in tables for statement in table.statements()]
    undoing = [statement for table in tables for statement in table.undoing()]
    return migrations.RunPython(_run(making), _run(undoing))


def watch_more(before: Watched, after: Watched) -> migrations.RunPython:
    """Give the operation that makes the triggers of a table anew, because verdicts depend on more of it."""
    return migrations.RunPython(
        _run([*before.undoing(), *after.statements()]), _run([*after.undoing(), *before.statements()])
    )


def make_function() -> migrations.RunPython:
    """Give the operation that makes the function behind every trigger."""
    return migrations.RunPython(_run([FUNCTION]), _run(["DROP FUNCTION keyportal_changed()"]))


def _run(statements: Sequence[str]) -> Callable[[StateApps, BaseDatabaseSchemaEditor], None]:
    def run(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "postgresql":
            for statement in statements:
                editor.execute(statement)

    return run
