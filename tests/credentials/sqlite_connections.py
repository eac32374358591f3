"""Connections of a test's own to one SQLite file, in the place of Django's."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as default
from django.db.backends.sqlite3.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker


class Connections(threading.local):
    """A connection of its own to one SQLite file for each thread, as `django.db.connection` is."""

    def __init__(self, file: Path) -> None:
        self.wrapper = DatabaseWrapper({**default.settings_dict, "NAME": str(file)})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapper, name)


@pytest.fixture
def connection(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connections]:
    """What `django.db.connection` is to the freshness under test: a file of its own, in WAL mode."""
    own = Connections(tmp_path / "own.sqlite3")
    monkeypatch.setattr("credentials.verified_cache.freshness.connections", {"default": own})
    # What a test changes is old enough at once, whether the machine is busy or not.
    monkeypatch.setattr("credentials.verified_cache.database_file.STABLE_AFTER", -1)
    with django_db_blocker.unblock():
        with own.cursor() as cursor:
            cursor.execute("CREATE TABLE own (x)")
        yield own
        own.close()


def commit_elsewhere(connection: Connections, number: int) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("INSERT INTO own VALUES (?)", [number])
        other.commit()
