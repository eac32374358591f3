"""Hosts that start at once migrate one after another."""

from pathlib import Path

import psycopg
import pytest

from tests.portal import Portal
from tests.waiting import DEADLINE, wait_until
from tests.with_postgres import Cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql]
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"


def test_two_hosts_that_migrate_an_empty_database_at_once_both_succeed(cluster: Cluster, tmp_path: Path) -> None:
    portal = Portal(tmp_path, cluster.url)
    with psycopg.connect(cluster.url, autocommit=True) as looking:

        def counts(query: str) -> int:
            row = looking.execute(query).fetchone()
            assert row
            return int(row[0])

        # A transaction that creates the table of migrations holds up the first command in the middle of its work.
        with psycopg.connect(cluster.url) as holding:
            holding.execute("CREATE TABLE django_migrations (id int)")
            first = portal.begin("migrate", "--verbosity=1", "--no-color")
            wait_until(lambda: counts(HELD) == 1)
            second = portal.begin("migrate", "--verbosity=1", "--no-color")
            wait_until(lambda: counts(WAITING) == 1)
            assert (first.poll(), second.poll()) == (None, None)
            holding.rollback()
        outcomes = [process.communicate(timeout=DEADLINE) for process in (first, second)]
        assert [process.returncode for process in (first, second)] == [0, 0], outcomes
        assert ["No migrations to apply" in out for out, _ in outcomes] == [False, True]
        assert counts(HELD) == 0
