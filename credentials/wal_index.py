"""SQLite's own note that something was committed, read without asking SQLite.

Beside a database in WAL mode lies the index of its log (`-shm`), which every connection maps into memory. It begins
with two copies of a header that each commit rewrites before it returns, whoever makes it, in whichever process:
“WAL-Index Format” in https://www.sqlite.org/walformat.html. As long as it reads as it did, nothing was committed.

To read it takes a tenth of a microsecond, and nobody waits: so the event loop may do it, where a question to SQLite
could wait for a lock, and lets go of the interpreter in any case.
"""

import mmap
import os
import sqlite3
from typing import Final

HEADER: Final = 96
"""Bytes: two copies of 48."""

_kept: Final[list[mmap.mmap | int]] = []
"""What is never closed: whoever closes one descriptor of a file drops all locks that the process holds on it (POSIX),
SQLite's among them. One entry for each index that was ever mapped."""


class WalIndex:
    """The index of one log. Holds a connection of its own, so that nobody removes or shortens the file meanwhile."""

    def __init__(self, real: str) -> None:
        """Map the index beside the database at this path. Raises `sqlite3.Error`, `OSError` or `ValueError`."""
        self._anchor = sqlite3.connect(real, check_same_thread=False)
        self._anchor.execute("SELECT 1 FROM sqlite_schema").fetchone()  # opens the index as well
        descriptor = os.open(f"{real}-shm", os.O_RDONLY)
        _kept.append(descriptor)
        self.inode = os.fstat(descriptor).st_ino
        self._map = mmap.mmap(descriptor, HEADER, prot=mmap.PROT_READ)
        _kept.append(self._map)  # it has a descriptor of its own
        self.seen = b""
        """The header as of which the verified cache is current; nothing reads as this."""

    def header(self) -> bytes:
        """Return both copies as they are now."""
        return self._map[:HEADER]

    def is_as_seen(self) -> bool:
        """Return whether nothing was committed since `seen` was read."""
        return self._map[:HEADER] == self.seen

    def close(self) -> None:
        """Part with the connection. The map stays, and says nothing any more."""
        self.seen = b""
        self._anchor.close()
