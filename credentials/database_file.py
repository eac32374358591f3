"""The file behind SQLite: each thread has the one open that lies where the settings say, whatever is done to it.

A connection keeps its file, also when another one has been moved to its place, or none. Then some threads would ask the
old file and others the new one, and each would be sure that nothing has changed. So every thread compares, and opens
the file that lies there now.

The write-ahead log stays behind when only the database is moved. SQLite would read it as the log of the new file, and
show a mixture of both. It is set aside, and nothing of it is lost for whoever wants to look.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from credentials import clock

logger = logging.getLogger(__name__)

LOOK: Final = 0.2  # seconds between two looks on the way of a verdict
BESIDE: Final = ("-wal", "-shm")


class UnusableFileError(OperationalError):
    """Where the settings say that the database is there is no file, or one that can't be told from another's log.

    Says which, in a sentence for the operator. Nobody makes an empty one instead.
    """


class FileVersion(NamedTuple):
    """Which file lies at a path, and since when it is as it is."""

    device: int
    inode: int
    changed_at: int
    """Nanoseconds. Differs after each checkpoint, and when somebody writes past SQLite into the file, by `cp`."""

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
        self._look_at = 0.0
        self._looking = threading.Lock()
        self._opened = _Opened()

    @property
    def opened(self) -> FileVersion | None:
        """Which file this thread has open."""
        return self._opened.version

    def follow(self, connection: BaseDatabaseWrapper, *, at_once: bool = False) -> None:
        """Open this thread's connection, and anew if it has another file open than the one that lies there now.

        Looks only now and then, unless it must be `at_once`. Raises `UnusableFileError` if no file lies there, say.
        """
        opened, raw = self._opened, connection.connection
        is_known = raw is not None and opened.raw is raw and opened.version is self._version
        if is_known and not at_once and clock.now() < self._look_at:
            return
        path = _path_of(connection)
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
        """Open the file between two looks, so that it is known which one it is."""
        connection.close()
        version = self._version
        connection.ensure_connection()
        self._look(path)
        if version is not None and version.is_same_file(self._version):
            # Opening it may have changed it: a checkpoint, or the first one that makes a write-ahead log of it.
            self._opened.raw, self._opened.version = connection.connection, self._version

    def _look(self, path: Path) -> None:
        with self._looking:
            self._look_at = clock.now() + LOOK
            try:
                self._compare(path, _version_of(path))
            except UnusableFileError:
                self._look_at = 0.0  # everybody is to see for themselves, as long as it is so
                self._changed()
                raise

    def _compare(self, path: Path, version: FileVersion) -> None:
        """Note which file lies there now; if it is another one, part with the one that did."""
        before = self._version
        if before is not None and not version.is_same_file(before):
            _set_aside(path, self._beside)
            self._version = version
            logger.warning("the database file was replaced: everything that was remembered is forgotten")
            self._replaced()
        elif version != before:
            self._version = version
            self._changed()
        self._beside = _inodes_beside(path)


def _path_of(connection: BaseDatabaseWrapper) -> Path | None:
    """Return the path of the connection's database; None for one in memory."""
    name = str(connection.settings_dict["NAME"])
    return None if name == ":memory:" or name.startswith("file:") else Path(name)


def _version_of(path: Path) -> FileVersion:
    """Return which file lies there. Raises `UnusableFileError` if none does."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnusableFileError(f"the database file can't be found ({type(error).__name__})") from error
    return FileVersion(found.st_dev, found.st_ino, found.st_ctime_ns)


def _inodes_beside(path: Path) -> dict[str, int]:
    found = {}
    for ending in BESIDE:
        try:
            found[ending] = Path(f"{path.resolve()}{ending}").stat().st_ino
        except OSError:
            continue
    return found


def _set_aside(path: Path, left: Mapping[str, int]) -> None:
    """Rename what belongs to the file that was there before: these inodes, if they still lie beside the path.

    Raises `UnusableFileError` where that is not allowed: better no answer than one from a mixture.
    """
    real = path.resolve()
    try:
        with _held(real.parent):  # another worker may have noticed before, and the new file has a log of its own
            for ending, inode in _inodes_beside(path).items():
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
