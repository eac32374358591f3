"""Create and drop the triggers, for migrations and for `manage.py createtriggers`."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from credentials.verified_cache import sqlite_triggers, triggers


def create_triggers(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Create or replace the triggers for a migration.

    Tables that do not exist yet are left to the migration that creates them.
    """
    for statement in _creating(editor.connection):
        editor.execute(statement, None)


def drop_triggers(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers and their functions, to reverse a migration."""
    is_postgresql = editor.connection.vendor == "postgresql"
    for statement in triggers.dropping_statements() if is_postgresql else sqlite_triggers.dropping_statements():
        editor.execute(statement, None)


def _creating(connection: BaseDatabaseWrapper) -> list[str]:
    tables = connection.introspection.table_names()
    if connection.vendor != "postgresql":
        return sqlite_triggers.creating_statements(tables)
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        return triggers.creating_statements(f"{cursor.fetchone()[0]}.{triggers.COUNTER}", tables)
