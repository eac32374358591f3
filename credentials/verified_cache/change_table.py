"""SQLite: the changes that the triggers recorded, read as they are committed.

What is read is exact: nothing is on its way. In the event loop, the header of the write-ahead log shows whether
anything was committed since the table was last read (`credentials.verified_cache.wal_index`).
"""

import hashlib
import logging
import platform
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.change_log import Cursor, News, Place
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.sqlite_triggers import TABLE, faults
from credentials.verified_cache.trigger_health import summary

logger = logging.getLogger(__name__)

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
MAX_NUMBER: Final = 2**63 - 1
"""That SQLite has in a column, and takes in a question."""
MAX_ROWS: Final = 1000
"""Changes that are read for one verifier. One that missed more forgets everything."""
_LAST: Final = f"SELECT n, nonce FROM {TABLE} ORDER BY n DESC LIMIT 1"  # noqa: S608  # a name of ours
_SINCE: Final = f"SELECT n, nonce, tag FROM {TABLE} WHERE n >= ? ORDER BY n LIMIT {MAX_ROWS + 2}"  # noqa: S608


class _Head(NamedTuple):
    cursor: Cursor
    header: bytes
    """The header of the log's index before the head was read."""


class ChangeTable:
    """The recorded changes of the database file. Thread-safe: what it keeps is replaced as a whole."""

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness
        self._head: _Head | None = None
        self._checked: tuple[object, ...] = ()
        self._digest = ""
        self.fault: str | None = None
        """Why changes are not recorded, as a message for the operator; empty if they are, None if that is unknown."""

    def head_at_once(self) -> Cursor:
        """Return the place after the last change, without a query. Raises `WouldBlockError` if that takes one."""
        head, index = self._head, self._freshness.index
        if head is None or index is None or not self._freshness.is_known_current() or index.header() != head.header:
            raise WouldBlockError
        return head.cursor

    def since(self, cursor: Cursor | None) -> News | None:
        """Return what came after a cursor; None if changes are not recorded. Raises `django.db.Error`."""
        connection = connections[DEFAULT_DB_ALIAS]
        self._freshness.current()  # opens the file that is at the path now
        index = self._freshness.index
        header = index.header() if index else b""  # read before the queries: a commit in between is detected later
        with connection.wrap_database_errors:
            raw = connection.connection
            identity = self._identity(raw)
            last = raw.execute(_LAST).fetchone() if identity else None
            if last is None:
                return None
            news = _since(raw, cursor, identity) if cursor and cursor.identity == identity else None
        news = news or News(_cursor(identity, *last), None)
        self._head = _Head(news.cursor, header)
        return news

    def check(self) -> None:
        """Find out whether changes are recorded, also while no verifier asks. Raises `django.db.Error`."""
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        with connection.wrap_database_errors:
            self._identity(connection.connection)

    def _identity(self, raw: Any) -> str:
        """Return the identity of cursors, which changes with the schema; empty if the triggers are not all there."""
        (version,) = raw.execute("PRAGMA schema_version").fetchone()
        state = (self._freshness.database_number, version)
        if state != self._checked:
            self._report(summary(faults(raw.cursor())))
            self._checked, self._digest = state, _digest_of(raw, version)
        return "" if self.fault else self._digest

    def _report(self, fault: str) -> None:
        """Log a fault once, and once that it is over."""
        was, self.fault = self.fault, fault
        if fault and not was:
            logger.error("verifiers can't follow changes: %s; run manage.py createtriggers", fault)
        elif was and not fault:
            logger.info("verifiers can follow changes again")


def _digest_of(raw: Any, version: int) -> str:
    """Return what tells this file, with this schema, from every other one: a copy has the same changes so far.

    A service may reach two portals with a file each at one address, as while a backup is put in place elsewhere.
    """
    (path,) = (file for _, name, file in raw.execute("PRAGMA database_list").fetchall() if name == "main")
    file = Path(path).stat() if path else None  # one in memory has no path
    place = (file.st_dev, file.st_ino) if file else ()
    return hashlib.sha256(f"{version} {_machine()} {place}".encode()).hexdigest()[:16]


@cache
def _machine() -> str:
    """Return what tells this machine from others, and is the same in all its containers."""
    try:
        return BOOT_ID.read_text()
    except OSError:  # not Linux
        return platform.node()


def _since(raw: Any, cursor: Cursor, identity: str) -> News | None:
    """Return what came after a cursor, in one statement; None if it leads nowhere, or too far back."""
    if cursor.place.n > MAX_NUMBER:
        return None
    before, *after = raw.execute(_SINCE, [cursor.place.n - 1]).fetchall() or [None]
    if before is None or before[:2] != (cursor.place.n - 1, cursor.nonce) or len(after) > MAX_ROWS:
        return None
    numbers = [before[0], *(n for n, _, _ in after)]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return None  # rows were deleted
    n, nonce, _ = after[-1] if after else before
    return News(_cursor(identity, n, nonce), [tag for _, _, tag in after])


def _cursor(identity: str, n: int, nonce: str) -> Cursor:
    return Cursor(identity, Place(n + 1, 0), nonce)
