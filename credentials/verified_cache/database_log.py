"""SQLite's write-ahead log: each connection of this process has the log open that is beside the file now.

A connection keeps its log (`-wal`) and the log's index (`-shm`) open even when they have been removed or replaced. The
next process that opens the database begins a log of its own, and the connection never sees what is written to it. Nor
would a new connection in this process, because SQLite shares the index among all of them. So all connections are closed
before one is opened again.
"""

import fcntl
import logging
import os
import sqlite3
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

logger = logging.getLogger(__name__)

BESIDE: Final = ("-wal", "-shm")
SHARED: Final = (0x40000002, 510)
"""The byte range that SQLite's readers lock in a file: first byte, length (os_unix.c)."""


class UnusableFileError(OperationalError):
    """The configured path has no database file, or one whose log may belong to another file.

    The message tells the operator which. The portal never creates an empty file instead.
    """


class OpenFiles(NamedTuple):
    """The files that a connection has open."""

    file: tuple[int, int]
    """Device and inode of the database."""
    beside: Mapping[str, int]
    """The inodes of log and index by ending. No other file gets the same while these are open."""


class OpenLogs:
    """The log that each connection of this process has open, whichever thread made the connection."""

    def __init__(self) -> None:
        self._files: WeakKeyDictionary[sqlite3.Connection, OpenFiles] = WeakKeyDictionary()
        self._lock = threading.Lock()
        connection_created.connect(self._on_connection_created)

    def _on_connection_created(self, *, connection: BaseDatabaseWrapper, **signal: Any) -> None:
        path = path_of(connection) if connection.vendor == "sqlite" else None
        if path is None:
            return
        with self._lock, suppress(OSError):  # `DatabaseFile` reports that the file is missing
            found = path.stat()
            self._files[connection.connection] = OpenFiles((found.st_dev, found.st_ino), inodes_beside(path))

    def stale_connections(self, file: tuple[int, int], present: Mapping[str, int]) -> list[sqlite3.Connection]:
        """Return the open connections to this file whose log or index is not the one beside it now (`present`)."""
        with self._lock:
            opened = list(self._files.items())
        return [
            raw
            for raw, (of, beside) in opened
            if of == file and any(present.get(ending) != inode for ending, inode in beside.items()) and _is_open(raw)
        ]


class LogLock:
    """A read lock that keeps SQLite from removing the log when this process closes its last connection.

    SQLite takes the lock for another process's reader. Otherwise it would remove the log by name, even one that another
    process has begun. The descriptor stays open, because closing one drops the locks that SQLite holds in this process.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.is_held = False

    def hold(self) -> None:
        """Take the lock."""
        self._lock(fcntl.F_RDLCK)
        self.is_held = True

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self.is_held:
            self._lock(fcntl.F_UNLCK)
            self.is_held = False

    def _lock(self, kind: int) -> None:
        command = getattr(fcntl, "F_OFD_SETLK", None)  # a lock of the descriptor, not the process; Linux has it
        if command is not None:
            fcntl.fcntl(self._descriptor, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, *SHARED, 0))


def path_of(connection: BaseDatabaseWrapper) -> Path | None:
    """Return the path of the connection's database, or None for one in memory."""
    return _path(str(connection.settings_dict["NAME"]))


@lru_cache(maxsize=8)
def _path(name: str) -> Path | None:
    return None if name == ":memory:" or name.startswith("file:") else Path(name)


def inodes_beside(path: Path) -> dict[str, int]:
    """Return the inodes of the log and index beside a file, by ending."""
    return inodes_at(os.path.realpath(path))


def inodes_at(real: str) -> dict[str, int]:
    """Return the same for a path without links, in a tenth of the time: resolving links takes longer than the check."""
    found = {}
    for ending in BESIDE:
        try:
            found[ending] = os.stat(real + ending).st_ino  # noqa: PTH116  # every request checks
        except OSError:
            continue
    return found


def save(raw: sqlite3.Connection) -> None:
    """Write a log that has been removed into the database file, before closing the connection loses it."""
    with suppress(sqlite3.Error):
        raw.execute("PRAGMA wal_checkpoint(FULL)").fetchall()


def set_aside(path: Path, left: Mapping[str, int]) -> None:
    """Rename the log and index of the previous file: these inodes, if they are still beside the path.

    Raises `UnusableFileError` if the rename fails: an answer from a mixture of two files is worse than none.
    """
    real = path.resolve()
    try:
        with _lock_folder(real.parent):  # another worker may have been first, and the new file have its own log
            for ending, inode in inodes_beside(path).items():
                if left.get(ending) == inode:
                    Path(f"{real}{ending}").rename(f"{real}{ending}.set-aside-{inode}")
                    logger.error("the replaced database file's %s was set aside", ending)
    except OSError as error:
        raise UnusableFileError("the log of a database file that was replaced can't be set aside") from error


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes. Not a database file: closing one would drop SQLite's locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_open(raw: sqlite3.Connection) -> bool:
    try:
        return raw.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False
