"""Triggers that refuse UPDATE and DELETE on the audit trail, whoever asks (ASVS 16.4.2)."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SQLITE = [
    f"CREATE TRIGGER audit_refuses_{verb} BEFORE {verb} ON accounts_auditevent "
    "BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'audit events are append-only'; END $$",
    "CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR DELETE ON accounts_auditevent "
    "FOR EACH ROW EXECUTE FUNCTION audit_refuses()",
]
UNDO_SQLITE = [f"DROP TRIGGER IF EXISTS audit_refuses_{verb}" for verb in ("UPDATE", "DELETE")]
UNDO_POSTGRESQL = [
    "DROP TRIGGER IF EXISTS audit_refuses_change ON accounts_auditevent",
    "DROP FUNCTION IF EXISTS audit_refuses()",
]


def refuse_changes(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers in the database's own words."""
    for statement in SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL:
        editor.execute(statement)


def allow_changes(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the triggers away again."""
    for statement in UNDO_SQLITE if editor.connection.vendor == "sqlite" else UNDO_POSTGRESQL:
        editor.execute(statement)


class Migration(migrations.Migration):
    """Append-only, held by the database."""

    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(refuse_changes, allow_changes)]
