"""A copy of the project, as a clone has it, with the packages that are installed already."""

import shutil
from pathlib import Path

from tests.portal import ROOT

NOT_COPIED = (".git", ".venv", "var", ".env", "__pycache__", ".*_cache", ".hypothesis", ".coverage*")


def copy_project(to: Path) -> Path:
    """Copy the project to a folder that is not there yet, and give that."""
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (to / ".venv").symlink_to((ROOT / ".venv").resolve())
    return to
