"""Writes past the portal, by an attacker who has the database and none of the server's keys."""

from typing import Any

from django.db import connection


def sql(statement: str, *values: Any) -> None:
    """Run a statement past the portal."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
