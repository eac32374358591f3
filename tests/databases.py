"""Empty databases for the tests' portals: migrated once a process, then copied."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.portal import Portal
from tests.portal_configuration import shared_folder


@contextmanager
def portal_database(folder: Path) -> Iterator[str]:
    """Make a database of the kind of this run, and yield its address: a SQLite file, or one in the run's PostgreSQL."""
    base = os.environ["DATABASE_URL"]
    if base.startswith("sqlite"):
        shutil.copy(_migrated_file(), folder / "portal.sqlite3")
        yield f"sqlite:///{folder / 'portal.sqlite3'}"
        return
    name = f"portal_{secrets.token_hex(6)}"
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_migrated_database(base)}"')
    try:
        yield _beside(base, name)
    finally:
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@cache
def _migrated_file() -> Path:
    file = shared_folder() / "template.sqlite3"
    _migrate(f"sqlite:///{file}")
    return file


@cache
def _migrated_database(base: str) -> str:
    name = f"template_{secrets.token_hex(6)}"
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    _migrate(_beside(base, name))
    return name


def _migrate(database_url: str) -> None:
    Portal(shared_folder(), database_url).command("migrate", "--verbosity=0")


def _beside(base: str, name: str) -> str:
    return urlsplit(base)._replace(path=f"/{name}").geturl()
