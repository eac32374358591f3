"""Prepared queries to PostgreSQL: one round trip, planned once a connection, repeated over a new one if it broke."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from django.db import OperationalError, transaction
from django.db import connection as default
from django.db.models import CharField
from pytest_django import DjangoDbBlocker

from credentials.scopes.models import Scope
from credentials.verdict_query.postgresql.base import Connection, DatabaseWrapper
from credentials.verdict_query.prepared import PREPARED_AFTER, PreparedQuery, value_of
from credentials.verdict_query.query_timeout import VERDICT_TIMEOUT
from tests.with_postgres import Cluster, postgres_cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql]


class Row(NamedTuple):
    text: str


Query = PreparedQuery[Row]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as started:
        with psycopg.connect(started.url, autocommit=True) as other:
            other.execute("CREATE TABLE credentials_scope (name text, description text)")
            other.execute("INSERT INTO credentials_scope VALUES ('a', 'first'), ('b', 'second')")
        yield started


@pytest.fixture
def connection(
    cluster: Cluster, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseWrapper]:
    """What `django.db.connection` is to the queries under test."""
    place = {"NAME": "keyportal", "HOST": "127.0.0.1", "PORT": cluster.port, "USER": "keyportal", "OPTIONS": {}}
    own = DatabaseWrapper({**default.settings_dict, **place, "PASSWORD": cluster.password}, alias="own")
    monkeypatch.setattr("credentials.verdict_query.prepared.connection", own)
    monkeypatch.setattr(PreparedQuery, "prepares", True)
    with django_db_blocker.unblock():
        yield own
        own.close()


@pytest.fixture
def query() -> Query:
    described = value_of("description")
    return PreparedQuery(lambda names: Scope.objects.filter(name__in=names), CharField(), Row, text=described)


def statements(connection: DatabaseWrapper) -> int:
    """Return how many statements the server has prepared for this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        return int(cursor.fetchone()[0])


def end(cluster: Cluster, connection: DatabaseWrapper) -> None:
    """Have the server end the connection, as its restart does."""
    with psycopg.connect(cluster.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 2000)", [connection.connection.info.backend_pid])


def test_the_server_plans_a_question_once_a_connection(connection: DatabaseWrapper, query: Query) -> None:
    for _ in range(PREPARED_AFTER):
        assert query.fetch("a") == [Row("first")]
    assert statements(connection) == 0
    for name, found in (("a", [Row("first")]), ("b", [Row("second")]), ("c", [])):
        assert query.fetch(name) == found
    assert statements(connection) == 1


def test_it_is_one_query_and_nothing_else_is_sent(connection: DatabaseWrapper, query: Query) -> None:
    query.fetch("a")
    vars(connection).update(health_check_enabled=True, health_check_done=False)  # as at the start of a request
    connection.force_debug_cursor = True
    query.fetch("a", "b")
    assert [entry["sql"].count("credentials_scope") > 0 for entry in connection.queries_log] == [True]
    assert vars(connection)["health_check_done"]  # a question that was answered is proof enough for what follows


def test_a_connection_that_was_ended_is_made_anew_and_asked_again(
    connection: DatabaseWrapper, query: Query, cluster: Cluster
) -> None:
    query.fetch("a")
    first = connection.connection.info.backend_pid
    end(cluster, connection)
    assert query.fetch("a") == [Row("first")]
    assert connection.connection.info.backend_pid != first


def test_in_a_transaction_nothing_is_asked_again(
    connection: DatabaseWrapper, query: Query, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the transaction had done is lost with its connection."""
    monkeypatch.setattr(transaction, "get_connection", lambda using=None: connection)

    @transaction.atomic
    def fetch_twice() -> None:
        query.fetch("a")
        end(cluster, connection)
        query.fetch("a")

    with pytest.raises(OperationalError):
        fetch_twice()


@pytest.mark.parametrize(
    "upset",
    ["DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", "ALTER TABLE credentials_scope ALTER description TYPE varchar"],
    ids=["as a pooler does", "as a migration does"],
)
def test_a_statement_that_is_lost_is_asked_unprepared_from_then_on(
    connection: DatabaseWrapper, query: Query, cluster: Cluster, upset: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(PREPARED_AFTER + 1):
        query.fetch("a")
    if upset.startswith("ALTER"):
        with psycopg.connect(cluster.url, autocommit=True) as other:
            other.execute(upset)
    else:
        connection.cursor().execute(upset)
    with caplog.at_level(logging.WARNING):
        assert query.fetch("a") == [Row("first")]
    assert "not prepared from now on" in caplog.text
    for _ in range(PREPARED_AFTER + 1):
        assert query.fetch("b") == [Row("second")]
    assert statements(connection) == 0


def test_a_query_over_a_connection_that_replaces_a_broken_one_is_limited_too(
    connection: DatabaseWrapper, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a pooler that mixes sessions: Django's own cursor checks the connection, and may open another one."""
    monkeypatch.setattr(PreparedQuery, "prepares", False)
    connection.health_check_enabled = True  # type: ignore[attr-defined]  # Django's own attributes, unknown to its stubs
    query.fetch("a")
    before = connection.connection
    before.close()
    connection.health_check_done = False  # type: ignore[attr-defined]
    limits: list[float | None] = []
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    wait = psycopg.Connection.wait

    def recorded_wait(self: Any, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limits.append(timeout)
        return wait(self, gen, interval, timeout)

    monkeypatch.setattr(Connection, "timeout", 60.0)
    monkeypatch.setattr(psycopg.Connection, "wait", recorded_wait)
    assert query.fetch("a") == [Row("first")]
    assert connection.connection is not before
    assert limits[-1] == VERDICT_TIMEOUT
