"""Complete DATABASES with the portal's defaults for what DATABASE_URL does not set."""

import re
from collections.abc import Mapping
from typing import Any, Final

from django.db import connections

from credentials.verdict_query.postgresql.base import Connection
from credentials.verdict_query.query_timeout import QUERY_TIMEOUT
from keyportal.local.private_files import PrivateConnection
from keyportal.options.addresses import as_address

SQLITE: Final = "django.db.backends.sqlite3"
POSTGRESQL: Final = "credentials.verdict_query.postgresql"
"""The portal's own backend: Django's, with a timeout for each answer."""
OF_SQLITE: Final[Mapping[str, Any]] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}
OF_POSTGRESQL: Final[Mapping[str, Any]] = {
    "connect_timeout": 2,
    "tcp_user_timeout": 2000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
"""Fail fast, because consumers wait for the verdict."""
MAX_AGE: Final = 600
"""Seconds after which a connection to PostgreSQL is replaced, so that all lead where new ones do."""
TIMEOUTS: Final[Mapping[str, int]] = {"statement_timeout": 5000, "lock_timeout": 2000}
"""In ms, for a server's connections. The statement timeout is meant for pages; checking a credential takes 1 ms."""


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of DATABASES. DATABASE_URL takes precedence over libpq's variables, these over the defaults."""
    entry = given["DATABASE_URL"]
    if entry["ENGINE"] == SQLITE:
        return {"CONN_MAX_AGE": None, **entry, "OPTIONS": _sqlite(entry["OPTIONS"])}
    variables = {"options": given["PGOPTIONS"], "connect_timeout": given["PGCONNECT_TIMEOUT"]}
    options = {**OF_POSTGRESQL, **{name: value for name, value in variables.items() if value != ""}, **entry["OPTIONS"]}
    # The server deletes PGPASSWORD from its environment, where libpq would look for it.
    password = entry["PASSWORD"] or given["PGPASSWORD"]
    always = {"CONN_MAX_AGE": MAX_AGE, "CONN_HEALTH_CHECKS": True, **entry}
    return {**always, "ENGINE": POSTGRESQL, "OPTIONS": options, "PASSWORD": password}


def listen_address(given: Mapping[str, Any]) -> str:
    """Return the URL for LISTEN as libpq reads it; empty if it is the database's own."""
    entry = given["KEYPORTAL_LISTEN_URL"]
    return as_address({**entry, "PASSWORD": entry["PASSWORD"] or given["PGPASSWORD"]}) if entry else ""


def set_query_timeouts() -> None:
    """Limit the time of queries to PostgreSQL in this process, by the server and by the client.

    Only servers call this: a management command may take longer.
    """
    Connection.timeout = QUERY_TIMEOUT
    for connection in connections.all():
        if connection.vendor == "postgresql":
            options = connection.settings_dict["OPTIONS"]  # shared by the connections of all threads
            options["options"] = with_timeouts(options.get("options", ""), TIMEOUTS)
            connection.close()


def with_timeouts(options: str, timeouts: Mapping[str, int]) -> str:
    """Return libpq's `options` with each timeout that they do not set; for PostgreSQL, the last one counts."""
    missing = [f"-c {name}={value}" for name, value in timeouts.items() if not _sets(options, name)]
    return " ".join([*missing, *filter(None, [options])])


def _sets(options: str, name: str) -> bool:
    form = rf"(?:^|\s)(?:-c\s*|--){name.replace('_', '[-_]')}\s*="
    return re.search(form, options, re.IGNORECASE) is not None


def _sqlite(options: Mapping[str, Any]) -> dict[str, Any]:
    commands = [part for part in (OF_SQLITE["init_command"], options.get("init_command")) if part]
    # The operator's commands come last, because the last value of a pragma counts.
    return {**OF_SQLITE, **options, "init_command": " ".join(commands), "factory": PrivateConnection}
