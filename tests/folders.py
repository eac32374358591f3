"""Folders that go when the process goes that made them."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def folder_of_this_process(prefix: str) -> Path:
    """Make a folder and return it. It is taken away at the end of this process, and not of one that it has forked."""
    folder, owner = Path(tempfile.mkdtemp(prefix=prefix)), os.getpid()

    def take_away() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(take_away)
    return folder
