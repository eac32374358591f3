"""Queries to PostgreSQL that get no answer: they are given up, verdicts' first, and their connection with them."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from django.db import connection as default
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from credentials.verdict_query.postgresql import base
from credentials.verdict_query.postgresql.base import Connection, DatabaseWrapper
from credentials.verdict_query.query_timeout import (
    LINE_TIMEOUT,
    QUERY_TIMEOUT,
    VERDICT_TIMEOUT,
    QueryTimeout,
    breaker,
    silent_connections,
)
from keyportal.databases import set_query_timeouts
from tests.proxy import Proxy, proxy_to
from tests.with_postgres import Cluster, postgres_cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql]
HANGS = b"the proxy swallows this"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as started:
        yield started


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with proxy_to(cluster.port) as way:
        way.deaf_to = HANGS
        yield way


@pytest.fixture
def connection(
    cluster: Cluster, proxy: Proxy, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseWrapper]:
    place = {"NAME": "keyportal", "HOST": "127.0.0.1", "PORT": proxy.port, "USER": "keyportal", "OPTIONS": {}}
    own = DatabaseWrapper({**default.settings_dict, **place, "PASSWORD": cluster.password}, alias="own")
    monkeypatch.setattr(Connection, "timeout", 60.0)
    with django_db_blocker.unblock():
        yield own
        own.close()
    breaker.cache_clear()
    silent_connections.cache_clear()


def hang(connection: DatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 /* {HANGS.decode()} */")


def test_a_query_without_an_answer_is_given_up_with_its_connection(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.ensure_connection()
    monkeypatch.setattr(Connection, "timeout", 0.05)
    with pytest.raises(QueryTimeout):
        hang(connection)
    assert connection.connection.closed
    assert not breaker().retry_at  # one silent connection is no reason to hold back others


def test_a_verdict_and_a_health_check_give_up_sooner_than_a_page(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.ensure_connection()
    raw, given = connection.connection, []
    wait = psycopg.Connection.wait

    def recorded_wait(self: Any, gen: Any, interval: float, timeout: float | None) -> Any:
        given.append(timeout)
        return wait(self, gen, interval, timeout)

    monkeypatch.setattr(psycopg.Connection, "wait", recorded_wait)
    raw.execute("SELECT 1")
    with raw.answer_within(VERDICT_TIMEOUT):
        raw.execute("SELECT 1")
    assert connection.is_usable()
    raw.execute("SELECT 1")
    assert given == [60.0, VERDICT_TIMEOUT, LINE_TIMEOUT, 60.0]


def test_a_server_process_waits_for_no_answer_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "timeout", None)
    monkeypatch.setattr("keyportal.databases.connections", ConnectionHandler({}))
    set_query_timeouts()
    assert Connection.timeout == QUERY_TIMEOUT


@pytest.mark.finding("H48")
def test_a_command_waits_as_long_as_it_takes(connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration may, and so may what it calls."""
    monkeypatch.setattr(Connection, "timeout", None)
    connection.ensure_connection()
    with connection.connection.answer_within(0.001), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.1)")


def test_an_answer_closes_the_circuit(connection: DatabaseWrapper) -> None:
    connection.ensure_connection()
    breaker().on_failure()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert breaker().allows()
    assert not breaker().retry_at


def test_an_error_of_the_database_is_no_timeout(connection: DatabaseWrapper) -> None:
    with pytest.raises(OperationalError) as raised, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 1; SELECT pg_sleep(10)")
    assert not isinstance(raised.value, QueryTimeout)


@pytest.mark.finding("H49")
def test_connections_that_are_older_than_a_silent_one_are_replaced(connection: DatabaseWrapper) -> None:
    connection.ensure_connection()
    before = connection.connection
    connection.close_if_outdated()
    assert connection.is_usable()
    assert connection.connection is before
    silent_connections().on_silence()
    assert not connection.is_usable()
    connection.close_if_outdated()
    connection.ensure_connection()
    assert connection.connection is not before
    assert connection.is_usable()


@pytest.mark.finding("H49")
def test_a_connection_has_a_largest_age(connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    before, now = connection.connection, 1000.0
    connection.close_at = now + 1
    monkeypatch.setattr(base, "time", SimpleNamespace(monotonic=lambda: now))
    connection.close_if_outdated()
    assert connection.connection is before
    now += 2
    connection.in_atomic_block = True
    connection.close_if_outdated()
    assert connection.connection is before  # a transaction is never cut
    connection.in_atomic_block = False
    connection.close_if_outdated()
    assert connection.connection is None
