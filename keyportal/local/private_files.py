"""Files that only the portal's own user may read: database, local mode's e-mails, metrics, `.env`."""

import logging
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, ClassVar, Final

logger = logging.getLogger(__name__)

OTHERS: Final = 0o077
"""The bits of a mode that let other users in. As a umask, they are removed from every new file."""
OWN_FILE: Final = 0o600
OWN_FOLDER: Final = 0o700
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite has for a database. It gives new ones the mode of the first."""


class PrivateConnection(sqlite3.Connection):
    """SQLite's connection to a file that only its owner may read, whatever the umask and its former mode."""

    makes_files: ClassVar[bool] = True
    """Whether this process may create a database.

    A server that has started opens only an existing one, because an empty database would look as if it had not been
    migrated.
    """

    def __init__(self, database: str, *args: Any, **options: Any) -> None:
        if not database.startswith(("file:", ":memory:")):  # databases of tests
            file = Path(database).resolve()
            if self.makes_files:
                _create(file)
            for suffix in _BESIDE:
                make_private(file.with_name(file.name + suffix))
            database = f"{Path(database).absolute().as_uri()}?mode=rw"
        super().__init__(database, *args, **{**options, "uri": True})


def make_private(path: Path) -> None:
    """Remove other users' access to a file or folder. A missing one, or a link, is left alone."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s is open to others, and that can't be changed: %s", path, type(error).__name__)


def make_tree_private(top: Path) -> None:
    """Remove other users' access to a folder and everything in it. Links inside it are not followed."""
    make_private(top.resolve())
    for folder, names, files in os.walk(top):
        for name in (*names, *files):
            make_private(Path(folder, name))


def private_folder(path: Path, *patterns: str) -> Path:
    """Return a folder, created if it is missing, whose files that match the patterns other users can't read.

    Other users can't enter it either, unless it holds other files too: the portal must not close /tmp or /run.
    """
    path.mkdir(mode=OWN_FOLDER, parents=True, exist_ok=True)
    ours = {file for pattern in patterns for file in path.glob(pattern)}
    for file in ours:
        make_private(file)
    if path.stat().st_mode & OTHERS and ours.issuperset(path.iterdir()):
        make_private(path.resolve())
    return path


def open_private(path: str, flags: int) -> int:
    """Open a file, which other users can't read if this creates it: an `opener` for `open`."""
    return os.open(path, flags, OWN_FILE)


def _create(file: Path) -> None:
    """Create an empty file, if its folder exists and it does not. Otherwise SQLite reports what is wrong."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, OWN_FILE))
    except OSError:
        return
