"""Whether the database takes writes. On a full disk, or as a standby, it still answers queries.

Verdicts then go on, so the process stays ready; metrics, the log and `/readyz` report the fault.
"""

import logging
import os
import sqlite3
from functools import cache
from typing import Final

import psycopg

logger = logging.getLogger(__name__)

FULL: Final = "the disk is full"
READ_ONLY: Final = "it is read-only"
UNWRITABLE: Final = "its files can't be written"
PREFIXES: Final = {
    "SQLITE_FULL": FULL,
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_IOERR_WRITE": UNWRITABLE,
    "SQLITE_IOERR_FSYNC": UNWRITABLE,
    "SQLITE_IOERR_TRUNCATE": UNWRITABLE,
    "SQLITE_IOERR_SHMSIZE": FULL,
    "25006": READ_ONLY,  # a standby, or default_transaction_read_only
    "53100": FULL,
}
"""Prefixes of SQLite's error names and PostgreSQL's SQLSTATEs that mean that nothing can be written."""


def write_fault(error: BaseException) -> str:
    """Return why the database takes no writes, if a database error of Django's shows that; otherwise an empty text."""
    cause = error.__cause__
    code = ""
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorname", "")
    elif isinstance(cause, psycopg.Error):
        code = cause.sqlstate or ""
    return next((why for prefix, why in PREFIXES.items() if code.startswith(prefix)), "")


class DatabaseWrites:
    """Whether this process can write, by the last write that it tried."""

    def __init__(self) -> None:
        self.fault = ""
        """Why nothing can be written; empty while it can."""

    def on_error(self, error: BaseException) -> None:
        """Handle a database error. If it means that nothing can be written any more, log that once, with the reason."""
        why = write_fault(error)
        if why and not self.fault:
            logger.error("the database accepts no writes: %s. Verdicts continue, everything else gets 503", why)
        self.fault = why or self.fault

    def on_success(self) -> None:
        """Handle a successful write: the database accepts writes."""
        if self.fault:
            logger.warning("the database accepts writes again")
        self.fault = ""


@cache
def database_writes() -> DatabaseWrites:
    """Return what this process knows of the database's writes."""
    return DatabaseWrites()


os.register_at_fork(after_in_child=database_writes.cache_clear)
