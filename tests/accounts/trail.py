"""Events and chains that a test writes, plants and takes away, past what guards the trail."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from pytest_django import Settings

from audit.append_only import EVENTS, LINKS
from audit.chain import extend_chain
from audit.event_types import EventType
from audit.id_ranges import IdRanges
from audit.models import Event
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import SealedRow
from tests.conftest import ORIGIN
from tests.staleness import ON_SQLITE

LONG_AGO = timedelta(days=3)


@pytest.fixture
def without_chain(settings: Settings) -> None:
    """Chain nothing until the test says so."""
    settings.KEYPORTAL_AUDIT_CHAIN = False


def write(
    verb: EventType = EventType.KEY_CREATED, *, ago: timedelta = LONG_AGO, origin: Origin = ORIGIN, **details: Any
) -> Event:
    """Record an event as if so long ago."""
    with time_machine.travel(datetime.now(UTC) - ago, tick=False):
        return record_event(verb, subject="key:key_1", origin=origin, **details)


def execute(*statements: str) -> None:
    """Run SQL."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def plant(model: type[SealedRow], **fields: Any) -> None:
    """Insert a row past the portal, without a seal that fits."""
    model._default_manager.bulk_create([model(**fields, seal=b"")])


@contextmanager
def unguarded() -> Iterator[None]:
    """Do what only the owner of the tables can: no trigger refuses anything."""
    if ON_SQLITE:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'")
            dropped = cursor.fetchall()
        execute(*(f"DROP TRIGGER {name}" for name, _ in dropped), "PRAGMA ignore_check_constraints = ON")
        yield
        execute(*(sql for _, sql in dropped), "PRAGMA ignore_check_constraints = OFF")
        return
    names = ("change", "removal", "truncation")
    execute(*(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in (EVENTS, LINKS)))
    yield
    for table in (EVENTS, LINKS):
        execute(*(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER audit_refuses_{name}_{table}" for name in names))


def ids_in(found: IdRanges) -> set[int]:
    """Return each id of the ranges."""
    return {number for first, last in found.spans for number in range(first, last + 1)}


@pytest.fixture
def chained(settings: Settings, without_chain: None) -> list[Event]:
    """Nine events under a chain of three links."""
    settings.KEYPORTAL_AUDIT_CHAIN = True
    events = []
    for _ in range(3):
        events += [write() for _ in range(3)]
        assert extend_chain() == 3
    return events
