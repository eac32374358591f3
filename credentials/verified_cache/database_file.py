"""The SQLite database file: each thread has the file open that is at the configured path now, even if it is replaced.

A connection keeps its file open even when that file has been deleted or another one moved to its place. Then some
threads would query the old file and others the new one, and each would be sure that nothing has changed. So every
thread compares, and opens the file that is there now.

When only the database file is moved, its write-ahead log stays behind. SQLite would take it for the log of the new file
and show a mixture of both. So the log is renamed and kept for the operator to inspect. If only the log was removed or
replaced, the file is reopened with the log that is there now (`credentials.verified_cache.database_log`).
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

from credentials.verified_cache import clock
from credentials.verified_cache.database_log import (
    LogLock,
    OpenLogs,
    UnusableFileError,
    inodes_at,
    inodes_beside,
    path_of,
    save,
    set_aside,
)
from credentials.verified_cache.wal_index import WalIndex

logger = logging.getLogger(__name__)

CHECK_EVERY: Final = 0.2  # seconds between two checks of the file on the verdict path
STABLE_AFTER: Final = 50_000_000
"""Nanoseconds. Change times are as coarse as the kernel's tick: two changes in quick succession may have the same."""
LINKED: Final = "the database file has another name (a hard link), and changes through that name are not detected"


class FileVersion(NamedTuple):
    """The file at a path, and the time of its last change."""

    device: int
    inode: int
    changed_at: int
    """Nanoseconds. Differs after each checkpoint, and after a write that bypasses SQLite, by `cp` for example."""
    names: int = 1
    """The number of the file's hard links."""
    is_stable: bool = True
    """False just after a change: another change may have the same time, and a reader in between would not detect it."""

    def is_same_file(self, other: "FileVersion | None") -> bool:
        """Return whether both are the same file, whatever was written to it in between."""
        return other is not None and self[:2] == other[:2]


class _OpenFile(threading.local):
    """SQLite's own connection that this thread has open, and the file that it leads to."""

    raw: object = None
    version: FileVersion | None = None


class DatabaseFile:
    """The file of the portal's database: the one at the path, and the one that each thread has open."""

    def __init__(self, *, changed: Callable[[], None], replaced: Callable[[], None]) -> None:
        self._changed = changed
        self._replaced = replaced
        self.version: FileVersion | None = None
        """The file at the path, as of the last check."""
        self._beside: Mapping[str, int] = {}
        self._real = ""
        """The file's path with links resolved, as of the last change."""
        self._check_at = 0.0
        self._checking = threading.RLock()
        self.here = _OpenFile()
        """The file that this thread has open."""
        self._logs = OpenLogs()
        self._log_lock: LogLock | None = None
        self.index: WalIndex | None = None
        """The index that shows commits without a query; None if there is no such file."""
        self.fault = ""
        """Why writes may go unnoticed by this process, as a message for the operator; empty if they can't."""

    def is_unchanged(self) -> bool:
        """Return whether it is certain, without checking the file, that nothing changed since the cache was current.

        Never queries and never blocks. Also False when the next check of the file is due.
        """
        index = self.index
        return index is not None and not self.fault and clock.now() < self._check_at and index.is_as_seen()

    def open_current(self, connection: BaseDatabaseWrapper, *, at_once: bool = False) -> None:
        """Open this thread's connection, or reopen it if its file is not the one at the path now.

        Checks the path only every `CHECK_EVERY` seconds, unless `at_once`. Raises `UnusableFileError` if the file can't
        be used, for example because there is none.
        """
        opened, raw = self.here, connection.connection
        is_known = raw is not None and opened.raw is raw and opened.version is self.version
        if is_known and not at_once and clock.now() < self._check_at:
            return
        path = path_of(connection)
        if path is None:
            connection.ensure_connection()
            opened.raw, self._check_at = connection.connection, clock.now() + CHECK_EVERY
            return
        try:
            self._check(path)
            while opened.raw is not connection.connection or opened.version is not self.version:
                self._open(connection, path)
        except OperationalError:
            connection.close()  # the old file must not answer another query
            raise

    def _open(self, connection: BaseDatabaseWrapper, path: Path) -> None:
        """Open the file between two checks of the path, so that it is certain which file was opened.

        One thread at a time, because SQLite removes the log when the last of all connections is closed.
        """
        with self._checking:
            self._close(connection, path)
            version = self.version
            connection.ensure_connection()
            self._check(path)
            if version is not None and version.is_same_file(self.version):
                # Opening may have changed the file: by a checkpoint, or by switching it to a write-ahead log.
                self.here.raw, self.here.version = connection.connection, self.version
                self._map_index()

    def _map_index(self) -> None:
        """Map the index beside the file into memory, unless it is mapped already."""
        inode = self._beside.get("-shm")
        if inode is None or (self.index is not None and self.index.inode == inode):
            return
        self._close_index()
        try:
            index = WalIndex(self._real)
        except (sqlite3.Error, OSError, ValueError):  # for example just removed: then every verdict queries SQLite
            logger.warning("the index of the database's log can't be read", exc_info=True)
            return
        if index.inode == inode:
            self.index = index
        else:
            index.close()

    def _close_index(self) -> None:
        """Close the connection that holds the index, because the index is no longer the one beside the file."""
        index, self.index = self.index, None
        if index is not None:
            index.close()

    def _close(self, connection: BaseDatabaseWrapper, path: Path) -> None:
        """Close this thread's connection. Raises `UnusableFileError` while another thread has a removed log open."""
        if self.version is None or self._log_lock is None:
            connection.close()
            return
        present = inodes_beside(path)
        if "-wal" not in present and connection.connection in self._logs.stale_connections(self.version[:2], present):
            save(connection.connection)  # not if another log is there: that one began without this one
        connection.close()
        if self._logs.stale_connections(self.version[:2], present):
            raise UnusableFileError("the log of the database file was replaced, and not every thread has closed it yet")
        self._log_lock.release()

    def _check(self, path: Path) -> None:
        with self._checking:
            now, self._check_at = clock.now(), 0.0  # until the check succeeds, every thread checks for itself
            try:
                self._compare(path, _version_of(path))
            except UnusableFileError:
                self._changed()
                raise
            if not self.fault:
                self._check_at = now + CHECK_EVERY

    def _compare(self, path: Path, version: FileVersion) -> None:
        """Store which file is at the path now; if it was replaced, let go of the old file and its log."""
        before, present = self.version, self._present_inodes(path, version)
        if before is not None and not version.is_same_file(before):
            if self._log_lock is not None:
                self._log_lock.hold()  # else the last thread to close the old file removes the new one's log
            self._close_index()
            set_aside(path, self._beside)
            present = inodes_beside(path)
            self.version, self._log_lock = version, LogLock(path)
            logger.warning("the database file was replaced, and the cache is cleared")
            self._replaced()
        elif (
            self._log_lock is not None
            and not self._log_lock.is_held
            and self._logs.stale_connections(version[:2], present)
        ):
            self._log_lock.hold()
            self._close_index()
            self.version = version
            logger.error("the log of the database file was removed or replaced, so every thread reopens the file")
            self._changed()
        elif version != before:
            self.version, self._log_lock = version, self._log_lock or LogLock(path)
            self._changed()
        self._check_names(version)
        self._beside = present

    def _present_inodes(self, path: Path, version: FileVersion) -> Mapping[str, int]:
        """Return the inodes of log and index; links are resolved again unless nothing has moved."""
        if version == self.version and self._beside:
            present = inodes_at(self._real)
            if present == self._beside:
                return present
        self._real = os.path.realpath(path)
        return inodes_at(self._real)

    def _check_names(self, version: FileVersion) -> None:
        """Log once that the file has a second name: SQLite derives the log's name from it, so each has its own log."""
        fault = LINKED if version.names > 1 else ""
        if fault and not self.fault:
            logger.error("the cache is off, every request queries the database: %s", fault)
        self.fault = fault


def _version_of(path: Path) -> FileVersion:
    """Return the file at the path. Raises `UnusableFileError` if there is none."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnusableFileError(f"the database file can't be found ({type(error).__name__})") from error
    is_stable = time.time_ns() - found.st_ctime_ns > STABLE_AFTER
    return FileVersion(found.st_dev, found.st_ino, found.st_ctime_ns, found.st_nlink, is_stable)
