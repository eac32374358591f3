"""Write secrets into files of their own, for settings of the form `NAME_FILE`."""

import os
import tempfile
from pathlib import Path

from keyportal.first_secrets.fresh import FRESH
from keyportal.local.private_files import OTHERS, OWN_FOLDER


class UnsafeFolderError(Exception):
    """The folder can't hold secrets. Says why in a sentence."""


def write_missing(folder: Path) -> list[str]:
    """Write each secret that the folder lacks; return the names of the new files.

    Processes that do so at once end with the same files. Raises `UnsafeFolderError`, or `OSError`.
    """
    _make_safe(folder)
    return [name for name, make in FRESH.items() if write_secret(folder / name, make())]


def write_secret(file: Path, secret: str) -> bool:
    """Write a file that only its owner can read, unless it exists; return whether this call made it.

    It appears with its whole content, so that nobody reads a half. Raises `OSError`.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(f"{secret}\n")
            opened.flush()
            os.fsync(opened.fileno())
        file.hardlink_to(draft)  # fails if the file exists, where a rename would replace it
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _make_safe(folder: Path) -> None:
    """Make the folder if it is missing. Raises `UnsafeFolderError` if others can look into it or change it."""
    folder.mkdir(mode=OWN_FOLDER, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise UnsafeFolderError("belongs to another user: run this command as the portal's own user")
    if found.st_mode & OTHERS:
        raise UnsafeFolderError("is open to other users: close it with chmod 700")
