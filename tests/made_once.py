"""A plugin of pytest for `make mutants`: what every process would do anew is done once, by the process that forks them.

mutmut collects the tests in one process, which then forks another for each mutant. Those would spend most of their
time on the migrations, on loading libraries and on the garbage collector. So a child of the collecting process makes
the test database and sends its bytes; nothing of the project runs in the collecting process itself, where its result
would outlive the mutant.
"""

import gc
import importlib
import os
import pickle
import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.management.commands.migrate import Command
from django.db import connections
from django.test import Client
from django.test.utils import setup_databases
from pytest_django import DjangoDbBlocker
from pytest_django.plugin import blocking_manager_key

PAGES: Final = ("/", "/accounts/login/", "/keys/", "/api/v1/me")
"""Requests that load most of what other requests need."""
ROOT: Final = Path(__file__).resolve().parent.parent
Made = tuple[bytes, list[str]]

_made: list[Made] = []


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make it, in the process that only collects."""
    if not session.config.option.collectonly or _made:
        return
    made: Made = in_child(partial(make_database, session.config.stash[blocking_manager_key]))
    for name in made[1]:
        with suppress(ImportError):
            importlib.import_module(name)
    _made.append(made)
    gc.collect()
    gc.freeze()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Use it, in a process that was forked from there."""
    if _made and not session.config.option.collectonly:
        _instead_of_migrating.start()


def in_child(function: Callable[[], Any]) -> Any:
    """Return the result of a function that runs in a child of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(function(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        sent = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(sent)  # noqa: S301  # from our own child


def make_database(blocker: DjangoDbBlocker) -> Made:
    """Return the bytes of a new test database, and the names of the libraries' modules that requests load."""
    with blocker.unblock():
        setup_databases(0, interactive=False)
        database = connections["default"].connection.serialize()
        client = Client(headers={"Host": urlsplit(settings.KEYPORTAL_URL).netloc})
        for page in PAGES:
            client.get(page, secure=True)
    own = {path.name for path in ROOT.iterdir()}
    return database, [name for name in sys.modules if name.partition(".")[0] not in own]


def restore_database(_: Command, *arguments: Any, **options: Any) -> None:
    """Do what `migrate` would do, this once."""
    _instead_of_migrating.stop()
    connection = connections[options["database"]]
    connection.ensure_connection()
    source = sqlite3.connect(":memory:")
    source.deserialize(_made[0][0])
    source.backup(connection.connection)
    source.close()


_instead_of_migrating: Final = mock.patch.object(Command, "handle", restore_database)
