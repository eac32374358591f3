"""What an attacker may do to a PostgreSQL so that it announces no change."""

from typing import Final

SABOTAGE: Final = {
    "disabled": ["ALTER TABLE {table} DISABLE TRIGGER USER"],
    "only for sessions that do not replicate": [
        "ALTER TABLE {table} ENABLE TRIGGER keyportal_notify",
        "SET session_replication_role = replica",
    ],
    "dropped": ["DROP TRIGGER keyportal_notify ON {table}"],
    "another one of the same name": [
        "DROP TRIGGER keyportal_notify ON {table}",
        "CREATE TRIGGER keyportal_notify AFTER UPDATE ON {table} FOR EACH ROW WHEN (false) EXECUTE FUNCTION {call}",
        "ALTER TABLE {table} ENABLE ALWAYS TRIGGER keyportal_notify",
    ],
    "a function that does nothing": [
        "CREATE OR REPLACE FUNCTION keyportal_notify() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    ],
    "a copy in the table's place": [
        "ALTER TABLE {table} RENAME TO the_real_one",
        "CREATE TABLE {table} (LIKE the_real_one INCLUDING ALL)",
        "INSERT INTO {table} SELECT * FROM the_real_one",
    ],
    "a table that inherits": ["CREATE TABLE heir () INHERITS ({table})"],
    "rows that may be hidden": ["ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"],
    "a rule": ["CREATE RULE a_rule AS ON DELETE TO {table} DO ALSO SELECT 1"],
}
"""What keeps a change from being announced, until it is mended."""
CALL: Final = "keyportal_notify('key', 'id')"
UNDO: Final = {
    "a copy in the table's place": ["DROP TABLE {table}", "ALTER TABLE the_real_one RENAME TO {table}"],
    "a table that inherits": ["DROP TABLE heir"],
    "rows that may be hidden": ["ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"],
    "a rule": ["DROP RULE a_rule ON {table}"],
}
