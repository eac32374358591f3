"""The write-ahead log beside SQLite's file: each connection of this process has the one open that lies there now.

A connection keeps its log (`-wal`) and the index of it (`-shm`), also when somebody has removed or replaced them.
Whoever opens the database then begins a log of their own, and the connection never sees what is written to that. Nor
would a new one in this process: SQLite shares the index among all of them. So all are closed before one is opened.
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
"""Where SQLite's readers lock a file: its first byte and how many (os_unix.c)."""


class UnusableFileError(OperationalError):
    """Where the settings say that the database is there is no file, or one that can't be told from another's log.

    Says which, in a sentence for the operator. Nobody makes an empty one instead.
    """


class Noted(NamedTuple):
    """What a connection has open."""

    file: tuple[int, int]
    """Device and inode."""
    beside: Mapping[str, int]
    """The inodes of log and index. No other file has the same, as long as these are open."""


class OpenLogs:
    """Which log each connection of this process has open, whichever thread has made it."""

    def __init__(self) -> None:
        self._noted: WeakKeyDictionary[sqlite3.Connection, Noted] = WeakKeyDictionary()
        self._noting = threading.Lock()
        connection_created.connect(self._note)

    def _note(self, *, connection: BaseDatabaseWrapper, **signal: Any) -> None:
        path = path_of(connection) if connection.vendor == "sqlite" else None
        if path is None:
            return
        with self._noting, suppress(OSError):  # a file that is gone is noticed by who looks for it
            found = path.stat()
            self._noted[connection.connection] = Noted((found.st_dev, found.st_ino), inodes_beside(path))

    def left(self, file: tuple[int, int], lying: Mapping[str, int]) -> list[sqlite3.Connection]:
        """Return the connections to this file that have another log or index open than these, which lie beside it."""
        with self._noting:
            noted = list(self._noted.items())
        return [
            raw
            for raw, (of, beside) in noted
            if of == file and any(lying.get(ending) != inode for ending, inode in beside.items()) and _is_open(raw)
        ]


class Guard:
    """A lock by which SQLite takes this process for another one, so that it removes no log when it closes its last.

    It would remove what lies there by its name, also the log that somebody else has begun. The descriptor stays open:
    closing one drops the locks that SQLite holds in this process.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.is_held = False

    def hold(self) -> None:
        """Be another reader from now on."""
        self._lock(fcntl.F_RDLCK)
        self.is_held = True

    def release(self) -> None:
        """Be none any more."""
        if self.is_held:
            self._lock(fcntl.F_UNLCK)
            self.is_held = False

    def _lock(self, kind: int) -> None:
        command = getattr(fcntl, "F_OFD_SETLK", None)  # of the descriptor and not of the process; Linux has it
        if command is not None:
            fcntl.fcntl(self._descriptor, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, *SHARED, 0))


def path_of(connection: BaseDatabaseWrapper) -> Path | None:
    """Return the path of the connection's database; None for one in memory."""
    return _path(str(connection.settings_dict["NAME"]))


@lru_cache(maxsize=8)
def _path(name: str) -> Path | None:
    return None if name == ":memory:" or name.startswith("file:") else Path(name)


def inodes_beside(path: Path) -> dict[str, int]:
    """Return the inodes of log and index that lie beside a file."""
    return inodes_at(os.path.realpath(path))


def inodes_at(real: str) -> dict[str, int]:
    """Return the same for a path without links, in a tenth of the time: to follow links takes longer than to look."""
    found = {}
    for ending in BESIDE:
        try:
            found[ending] = os.stat(real + ending).st_ino  # noqa: PTH116  # every request looks
        except OSError:
            continue
    return found


def save(raw: sqlite3.Connection) -> None:
    """Bring a log that lies nowhere any more into the file, before it is closed and gone."""
    with suppress(sqlite3.Error):
        raw.execute("PRAGMA wal_checkpoint(FULL)").fetchall()


def set_aside(path: Path, left: Mapping[str, int]) -> None:
    """Rename what belongs to the file that was there before: these inodes, if they still lie beside the path.

    Raises `UnusableFileError` where that is not allowed: better no answer than one from a mixture.
    """
    real = path.resolve()
    try:
        with _held(real.parent):  # another worker may have noticed before, and the new file has a log of its own
            for ending, inode in inodes_beside(path).items():
                if left.get(ending) == inode:
                    Path(f"{real}{ending}").rename(f"{real}{ending}.set-aside-{inode}")
                    logger.error("the %s of the database file that was replaced is set aside", ending)
    except OSError as error:
        raise UnusableFileError("the log of a database file that was replaced can't be set aside") from error


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes. Not a file of the database: closing one drops the locks of SQLite."""
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
