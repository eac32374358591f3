"""Why a service could not be used, in plain words of the portal's own: none is taken from the service's text.

PostgreSQL gives a code (SQLSTATE) once there is a connection. While there is none, libpq has only a text, which may
quote a setting. It is searched for what is known, in English, and never repeated.
"""

import re
from collections.abc import Mapping
from typing import Final

BY_SQLSTATE: Final[Mapping[str, str]] = {
    "08": "the connection was lost",
    "25006": "it is read-only",
    "28": "it refuses the log-in",
    "3D000": "there is no such database",
    "3F000": "there is no such schema",
    "42501": "the role lacks a right",
    "42P01": "a table is missing: run manage.py migrate",
    "42703": "a column is missing: run manage.py migrate",
    "53100": "the disk is full",
    "53200": "it has no memory left",
    "53300": "it has too many connections",
    "55P03": "another transaction holds a lock",
    "57014": "the query took too long",
    "57P": "it is starting, stopping or was restarted",
}
"""Words for SQLSTATEs, by the longest prefix."""
BY_SQLITE: Final[Mapping[str, str]] = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_BUSY": "another process is writing",
    "SQLITE_LOCKED": "another thread is writing",
    "SQLITE_CANTOPEN": "the file can't be opened",
    "SQLITE_NOTADB": "the file is no database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_IOERR": "the file can't be read or written",
}
"""Words for SQLite's names of errors, by their beginning."""
BY_TEXT: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"password authentication failed|no password supplied|WRONGPASS|NOAUTH|invalid.*password", BY_SQLSTATE["28"]),
        (r"no pg_hba\.conf entry|role \".*\" does not exist|not permitted to log in|NOPERM", BY_SQLSTATE["28"]),
        (r"database \".*\" does not exist", BY_SQLSTATE["3D000"]),
        (
            r"too many clients|too many connections|remaining connection slots|max number of clients",
            BY_SQLSTATE["53300"],
        ),
        (r"starting up|shutting down|recovery mode|LOADING", BY_SQLSTATE["57P"]),
        (r"connection refused", "nothing listens there: connection refused"),
        (r"timeout|timed out", "no answer in time"),
        (r"translate host name|resolve host|Name or service not known|name resolution", "its host name is unknown"),
        (r"No route to host|Network is unreachable", "there is no way to its host"),
        (r"certificate|SSL|TLS", "TLS failed"),
        (
            r"server closed the connection|reset by peer|Broken pipe|connection is lost|EOF|closed by server",
            BY_SQLSTATE["08"],
        ),
        (r"OOM command not allowed", BY_SQLSTATE["53200"]),
        (r"read.?only", BY_SQLSTATE["25006"]),
    )
)


def in_words(error: BaseException) -> str:
    """Return why a service could not be used, in words of this module; empty if that is unknown."""
    state = getattr(error, "sqlstate", None) or ""
    if state:
        return _by_prefix(BY_SQLSTATE, state)
    named = getattr(error, "sqlite_errorname", "")
    if named:
        return _by_prefix(BY_SQLITE, named)
    text = str(error)
    return next((words for pattern, words in BY_TEXT if pattern.search(text)), "")


def _by_prefix(words: Mapping[str, str], code: str) -> str:
    return words[max(known, key=len)] if (known := [prefix for prefix in words if code.startswith(prefix)]) else ""
