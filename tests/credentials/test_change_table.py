"""SQLite: which file a cursor is of."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from credentials.verified_cache.change_table import _digest_of

pytestmark = pytest.mark.once


def digest(file: Path, version: int = 7) -> str:
    with closing(sqlite3.connect(file)) as raw:
        return _digest_of(raw, version)


def test_a_copy_of_the_file_has_cursors_of_its_own(tmp_path: Path) -> None:
    """Two portals at one address may have a copy each, as while a backup is put in place elsewhere."""
    file, copy = tmp_path / "a.sqlite3", tmp_path / "b.sqlite3"
    with closing(sqlite3.connect(file)) as raw:
        raw.execute("CREATE TABLE x (y)")
    shutil.copy(file, copy)
    assert digest(file) == digest(file)
    assert digest(copy) != digest(file)
    assert digest(file, 8) != digest(file, 7)
    before = digest(file)
    Path(shutil.copy(file, tmp_path / "c.sqlite3")).replace(file)
    assert digest(file) != before


def test_a_database_in_memory_has_them_too() -> None:
    with closing(sqlite3.connect(":memory:")) as raw:
        assert _digest_of(raw, 7) != _digest_of(raw, 8)
