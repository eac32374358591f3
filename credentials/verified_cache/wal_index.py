"""Detect commits to an SQLite database without a query, by the index of its write-ahead log.

A database in WAL mode has the index of its log (`-shm`) beside it, which every connection maps into memory. It begins
with two copies of a header that each commit in any process rewrites before it returns (“WAL-Index Format” in
https://www.sqlite.org/walformat.html). As long as the header is the same, nothing was committed.

Reading it takes a tenth of a microsecond and never blocks, so the event loop may do it. A query to SQLite could wait
for a lock, and releases the GIL in any case.
"""

import mmap
import os
import sqlite3
from typing import Final

HEADER: Final = 96
"""Bytes: two copies of 48."""

_never_closed: Final[list[mmap.mmap | int]] = []
"""Descriptors and maps that are never closed: closing any descriptor of a file drops all locks that the process holds
on it (POSIX), SQLite's among them. Two entries for each index that was ever mapped."""


class WalIndex:
    """The index of one log. Holds a connection of its own, so that SQLite neither removes nor truncates the file."""

    def __init__(self, real: str) -> None:
        """Map the index beside the database at this path. Raises `sqlite3.Error`, `OSError` or `ValueError`."""
        self._anchor = sqlite3.connect(real, check_same_thread=False)
        self._anchor.execute("SELECT 1 FROM sqlite_schema").fetchone()  # opens the index as well
        descriptor = os.open(f"{real}-shm", os.O_RDONLY)
        _never_closed.append(descriptor)
        self.inode = os.fstat(descriptor).st_ino
        self.map = mmap.mmap(descriptor, HEADER, prot=mmap.PROT_READ)
        _never_closed.append(self.map)  # it has a descriptor of its own
        self.seen = b""
        """The header as of which the verified cache is current. Empty, which no header is, until there is one."""

    def header(self) -> bytes:
        """Return the header as it is now."""
        return self.map[:HEADER]

    def is_as_seen(self) -> bool:
        """Return whether nothing was committed since `seen` was read."""
        return self.map[:HEADER] == self.seen

    def close(self) -> None:
        """Close the connection. The map stays, but is not used any more."""
        self.seen = b""
        self._anchor.close()
