"""Files that only their owner can read, from their first moment on."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from types import TracebackType


class PrivateFile:
    """A file that is written beside its place and moved there as a whole. Its mode is 0600 all the time.

    Entering proves that it can be written, before there is anything to write. A link at its place is refused, because
    somebody else may have put it there: the text would replace another file, or the link. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        self._descriptor = -1
        self._temporary = ""

    def __enter__(self) -> "PrivateFile":
        if self._path.is_symlink():
            raise OSError(errno.ELOOP, "there is a link; name the file itself", str(self._path))
        if self._path.exists() and not self._path.is_file():
            raise OSError(errno.EEXIST, "there is something that is not a file", str(self._path))
        self._descriptor, self._temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        return self

    def write(self, text: str) -> None:
        """Put the text at the file's place, instead of what was there."""
        with os.fdopen(os.dup(self._descriptor), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(self._temporary).replace(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            Path(self._temporary).unlink()
