"""Files that nobody but the portal's own user may read: database, messages of local mode, metrics, `.env`."""

import logging
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, ClassVar, Final

logger = logging.getLogger(__name__)

OTHERS: Final = 0o077
"""The bits of a mode that let anybody else in; as an umask, what takes them from every new file."""
OWN_FILE: Final = 0o600
OWN_FOLDER: Final = 0o700
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite has of a database. It gives new ones the mode of the first."""


class PrivateConnection(sqlite3.Connection):
    """SQLite's connection to a file that its owner alone may read, whatever the umask and whatever its mode was."""

    makes_files: ClassVar[bool] = True
    """Whether this process may make a database. A server that has started opens the one that there is, or none: an
    empty one would be taken for a database that nobody has migrated."""

    def __init__(self, database: str, *args: Any, **options: Any) -> None:
        if not database.startswith(("file:", ":memory:")):  # those of tests
            file = Path(database).resolve()
            if self.makes_files:
                _create(file)
            for suffix in _BESIDE:
                make_private(file.with_name(file.name + suffix))
            database = f"{Path(database).absolute().as_uri()}?mode=rw"
        super().__init__(database, *args, **{**options, "uri": True})


def make_private(path: Path) -> None:
    """Take a file or folder from everybody but its owner. One that is not there, or a link, is left alone."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s is open to others, and that can't be changed: %s", path, type(error).__name__)


def make_tree_private(top: Path) -> None:
    """Take a folder, and everything in it, from everybody but its owner. Links inside it are not followed."""
    make_private(top.resolve())
    for folder, names, files in os.walk(top):
        for name in (*names, *files):
            make_private(Path(folder, name))


def private_folder(path: Path, *patterns: str) -> Path:
    """Return a folder, made if it is missing, whose files of these names nobody else may read.

    Nobody else may enter it either, unless it holds other things as well: /tmp and /run are not the portal's to close.
    """
    path.mkdir(mode=OWN_FOLDER, parents=True, exist_ok=True)
    ours = {file for pattern in patterns for file in path.glob(pattern)}
    for file in ours:
        make_private(file)
    if path.stat().st_mode & OTHERS and ours.issuperset(path.iterdir()):
        make_private(path.resolve())
    return path


def open_private(path: str, flags: int) -> int:
    """Open a file that nobody else may read, if it is made by this: an `opener` for `open`."""
    return os.open(path, flags, OWN_FILE)


def _create(file: Path) -> None:
    """Make an empty file, if there is none and its folder is there. SQLite says what is wrong otherwise."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, OWN_FILE))
    except OSError:
        return
