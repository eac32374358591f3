"""SQLite in production: one host, a local disk, room to write."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections

from keyportal.doctor.findings import Finding, problem, warning

OVER_NETWORK: Final = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "lustre"))
OLDEST: Final = (3, 37, 0)
LEAST_FREE: Final = 512 * 1024 * 1024
"""Bytes."""

ON_NETWORK = problem(
    "sqlite_on_network",
    meaning="SQLite's locks and its shared memory don't work there: changes are lost, or go unnoticed.",
    advice="Put the file on a local disk, or use PostgreSQL.",
)
NOT_WAL = problem(
    "sqlite_journal",
    meaning="Without a write-ahead log each write holds up all readers, and commits are noticed late.",
    advice="Remove journal_mode from the options of DATABASE_URL. WAL needs a local file system with shared memory.",
)
OLD = warning(
    "sqlite_old",
    meaning="This version of SQLite has known faults, and is not tested with the portal.",
    advice="Use Python with a newer SQLite.",
)
DISK = warning(
    "disk_space",
    meaning="With a full disk nothing can be written: no log-in, no revocation.",
    advice="Free space, or move the database. `python manage.py purge` deletes expired rows.",
)


def examine() -> Iterator[Finding]:
    """Yield what is wrong with the file, and with where it is. Raises `django.db.Error`."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    file = Path(str(connection.settings_dict["NAME"])).resolve()
    folder = file.parent
    if sqlite3.sqlite_version_info < OLDEST:
        yield OLD.found(f"SQLite is version {sqlite3.sqlite_version}.")
    if not file.is_file():
        return  # a database in memory
    if mode != "wal":
        yield NOT_WAL.found("The database does not use a write-ahead log.")
    if (kind := file_system(folder)) in OVER_NETWORK:
        yield ON_NETWORK.found(f"The database is on a network file system ({kind}).")
    if (free := shutil.disk_usage(folder).free) < LEAST_FREE:
        yield DISK.found(f"The database's disk has {free // 1024**2} MB left.")


def file_system(folder: Path) -> str:
    """Return the kind of file system that holds a folder, as Linux names it; empty if it can't be told."""
    mounts = Path("/proc/self/mounts")
    if not mounts.is_file():
        return ""
    kind, longest = "", -1
    for line in mounts.read_text(errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        if len(point) > longest and folder.is_relative_to(point.replace("\\040", " ")):
            kind, longest = found, len(point)
    return kind
