"""The file behind SQLite: each thread has the one open that lies where the settings say, whatever is done to it.

A connection keeps its file, also when another one has been moved to its place, or none. Then some threads would ask the
old file and others the new one, and each would be sure that nothing has changed. So every thread compares, and opens
the file that lies there now.

The write-ahead log stays behind when only the database is moved. SQLite would read it as the log of the new file, and
show a mixture of both. It is set aside, and nothing of it is lost for whoever wants to look. Where only the log was
removed or replaced, the file is opened anew with the one that lies there (`credentials.database_log`).
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from credentials import clock
from credentials.database_log import (
    Guard,
    OpenLogs,
    UnusableFileError,
    inodes_at,
    inodes_beside,
    path_of,
    save,
    set_aside,
)
from credentials.wal_index import WalIndex

logger = logging.getLogger(__name__)

LOOK: Final = 0.2  # seconds between two looks on the way of a verdict
SETTLES: Final = 50_000_000
"""Nanoseconds. The time of a change is as coarse as the kernel's tick: one that follows at once has the same."""
LINKED: Final = "the database file has another name (a hard link): what is written by that one is not noticed"


class FileVersion(NamedTuple):
    """Which file lies at a path, and since when it is as it is."""

    device: int
    inode: int
    changed_at: int
    """Nanoseconds. Differs after each checkpoint, and when somebody writes past SQLite into the file, by `cp`."""
    names: int = 1
    """How many the file has."""
    is_settled: bool = True
    """False just after a change: who read then may have read what the next change, of the same time, did away with."""

    def is_same_file(self, other: "FileVersion | None") -> bool:
        """Return whether it is one file, whatever was written into it."""
        return other is not None and self[:2] == other[:2]


class _Opened(threading.local):
    """What this thread has open: SQLite's own connection, and the file at its other end."""

    raw: object = None
    version: FileVersion | None = None


class DatabaseFile:
    """The file of the portal's database: what lies there, and what each thread of this process has open."""

    def __init__(self, *, changed: Callable[[], None], replaced: Callable[[], None]) -> None:
        self._changed = changed
        self._replaced = replaced
        self._version: FileVersion | None = None
        self._beside: Mapping[str, int] = {}
        self._real = ""
        """The file's path without links, as it was when something had changed last."""
        self._look_at = 0.0
        self._looking = threading.RLock()
        self._opened = _Opened()
        self._logs = OpenLogs()
        self._guard: Guard | None = None
        self.index: WalIndex | None = None
        """What tells of commits without a question; None where there is no such file."""
        self.fault = ""
        """Why somebody may write past what this process sees, in words for an operator."""

    @property
    def opened(self) -> FileVersion | None:
        """Which file this thread has open."""
        return self._opened.version

    @property
    def version(self) -> FileVersion | None:
        """Which file lies there, as far as anybody has looked."""
        return self._version

    def is_unchanged(self) -> bool:
        """Return whether it is certain, without a look, that all is as it was when the cache was current last.

        Asks nobody and waits for nobody. False also if somebody should look again.
        """
        index = self.index
        return index is not None and not self.fault and clock.now() < self._look_at and index.is_as_seen()

    def follow(self, connection: BaseDatabaseWrapper, *, at_once: bool = False) -> None:
        """Open this thread's connection, and anew if it has another file open than the one that lies there now.

        Looks only now and then, unless it must be `at_once`. Raises `UnusableFileError` if no file lies there, say.
        """
        opened, raw = self._opened, connection.connection
        is_known = raw is not None and opened.raw is raw and opened.version is self._version
        if is_known and not at_once and clock.now() < self._look_at:
            return
        path = path_of(connection)
        if path is None:
            connection.ensure_connection()
            opened.raw, self._look_at = connection.connection, clock.now() + LOOK
            return
        try:
            self._look(path)
            while opened.raw is not connection.connection or opened.version is not self._version:
                self._open(connection, path)
        except OperationalError:
            connection.close()  # never a word more over the file that was there
            raise

    def _open(self, connection: BaseDatabaseWrapper, path: Path) -> None:
        """Open the file between two looks, so that it is known which one it is.

        One thread at a time: when the last connection of all is closed, SQLite itself removes the log.
        """
        with self._looking:
            self._close(connection, path)
            version = self._version
            connection.ensure_connection()
            self._look(path)
            if version is not None and version.is_same_file(self._version):
                # Opening it may have changed it: a checkpoint, or the first one that makes a write-ahead log of it.
                self._opened.raw, self._opened.version = connection.connection, self._version
                self._map_index()

    def _map_index(self) -> None:
        """Map the index that lies beside the file, if it is not mapped yet."""
        inode = self._beside.get("-shm")
        if inode is None or (self.index is not None and self.index.inode == inode):
            return
        self._part_with_index()
        try:
            index = WalIndex(self._real)
        except (sqlite3.Error, OSError, ValueError):  # it has just gone, say: then every verdict asks SQLite
            logger.warning("the index of the database's log can't be read", exc_info=True)
            return
        if index.inode == inode:
            self.index = index
        else:
            index.close()

    def _part_with_index(self) -> None:
        """Close the connection that keeps the index: it belongs to a file that lies there no more."""
        index, self.index = self.index, None
        if index is not None:
            index.close()

    def _close(self, connection: BaseDatabaseWrapper, path: Path) -> None:
        """Close this thread's connection. Raises `UnusableFileError` while another thread has a log that is gone."""
        if self._version is None or self._guard is None:
            connection.close()
            return
        lying = inodes_beside(path)
        if "-wal" not in lying and connection.connection in self._logs.left(self._version[:2], lying):
            save(connection.connection)  # where another one lies, what is in that began without this one
        connection.close()
        if self._logs.left(self._version[:2], lying):
            raise UnusableFileError("the log of the database file was replaced, and not every thread has closed it yet")
        self._guard.release()

    def _look(self, path: Path) -> None:
        with self._looking:
            now, self._look_at = clock.now(), 0.0  # everybody is to see for themselves, as long as it is not well
            try:
                self._compare(path, _version_of(path))
            except UnusableFileError:
                self._changed()
                raise
            if not self.fault:
                self._look_at = now + LOOK

    def _compare(self, path: Path, version: FileVersion) -> None:
        """Note which file lies there now; if it is another one, part with the one that did."""
        before, lying = self._version, self._lying(path, version)
        if before is not None and not version.is_same_file(before):
            if self._guard is not None:
                self._guard.hold()  # the last to close the old file would remove the log of the new one
            self._part_with_index()
            set_aside(path, self._beside)
            lying = inodes_beside(path)
            self._version, self._guard = version, Guard(path)
            logger.warning("the database file was replaced: everything that was remembered is forgotten")
            self._replaced()
        elif self._guard is not None and not self._guard.is_held and self._logs.left(version[:2], lying):
            self._guard.hold()
            self._part_with_index()
            self._version = version
            logger.error("the log of the database file was removed or replaced: every thread opens the file anew")
            self._changed()
        elif version != before:
            self._version, self._guard = version, self._guard or Guard(path)
            self._changed()
        self._note_names(version)
        self._beside = lying

    def _lying(self, path: Path, version: FileVersion) -> Mapping[str, int]:
        """Return the inodes beside the file; links are followed anew unless everything lies where it did."""
        if version == self._version and self._beside:
            lying = inodes_at(self._real)
            if lying == self._beside:
                return lying
        self._real = os.path.realpath(path)
        return inodes_at(self._real)

    def _note_names(self, version: FileVersion) -> None:
        """Say once that the file has more than one name, by which SQLite writes other logs."""
        fault = LINKED if version.names > 1 else ""
        if fault and not self.fault:
            logger.error("nothing is remembered, every request asks the database: %s", fault)
        self.fault = fault


def _version_of(path: Path) -> FileVersion:
    """Return which file lies there. Raises `UnusableFileError` if none does."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnusableFileError(f"the database file can't be found ({type(error).__name__})") from error
    is_settled = time.time_ns() - found.st_ctime_ns > SETTLES
    return FileVersion(found.st_dev, found.st_ino, found.st_ctime_ns, found.st_nlink, is_settled)
