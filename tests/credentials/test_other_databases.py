"""Connections that lead elsewhere than the listener's: its silence says nothing about what is asked over them."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from tests.oauth_client import ClientKey
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.proxy import Proxy, proxy_to
from tests.staleness import wait_until_refused, wait_until_refused_for_good
from tests.waiting import wait_until
from tests.with_postgres import Cluster, binary, postgres_cluster
from vault.secret_format import new_secret

pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.finding("H43")]

OWNER = "elsewhere@example.com"
DISAGREE = "changes can't be detected: connections to the database lead to different servers, databases or tables"
REVOKE = "UPDATE {schema}.apikeys_apikey SET revoked_at = now() WHERE id = %s"


class Site(NamedTuple):
    """A portal of one worker that reaches its database through a proxy."""

    portal: Portal
    proxy: Proxy
    cluster: Cluster

    def client(self) -> ClientKey:
        """Make a key that every thread has used, and that is cached."""
        client = ClientKey(*self.portal.make_key(OWNER))
        self.wait_until_all_accept(client)
        return client

    def status_of(self, client: ClientKey) -> int:
        """Return the status of a verdict."""
        return self.status_of_secret(client.secret)

    def status_of_secret(self, secret: str) -> int:
        """Return the status of a verdict about any text."""
        return self.portal.get("/gateway/auth", Authorization=f"Bearer {secret}").status

    def statuses(self, client: ClientKey) -> set[int]:
        """Return the statuses that come from all threads."""
        return {
            status
            for _ in range(3)
            for status in all_at_once(2 * self.portal.threads, lambda _: self.status_of(client))
        }

    def wait_until_all_accept(self, client: ClientKey) -> None:
        """Wait until every thread lets it in."""
        wait_until(lambda: self.statuses(client) == {200})

    def wait_until_all_refuse(self, client: ClientKey) -> None:
        """Wait until every thread refuses; none may let it in again."""
        wait_until_refused_for_good(lambda: self.status_of(client))
        assert self.statuses(client) == {401}

    def prepare(self) -> None:
        """Let each thread look up unknown keys so often that PostgreSQL has prepared the query."""
        for _ in range(8):
            all_at_once(2 * self.portal.threads, lambda _: self.status_of_secret(new_secret("kp", "live")))

    def copy_to(self, schema: str) -> None:
        """Put a whole copy of the tables, their functions and triggers into another schema."""
        dump = self.dump("--schema=public").replace("public.", f"{schema}.")
        self.load(self.cluster, "\n".join(line for line in dump.splitlines() if "SCHEMA public" not in line))

    def dump(self, *options: str) -> str:
        """Return the database as SQL."""
        command = [binary("pg_dump"), *options, f"--dbname={self.cluster.url}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def load(self, cluster: Cluster, dump: str) -> None:
        """Run SQL, all of it or nothing."""
        command = ["psql", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--dbname={cluster.url}"]
        subprocess.run(command, input=dump, check=True, capture_output=True, text=True)

    def sql(self, statement: str, *values: object, cluster: Cluster | None = None) -> list[tuple[object, ...]]:
        """Run a statement; return its rows."""
        with psycopg.connect((cluster or self.cluster).url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def end_connections(self) -> None:
        """End the connections of the portal's threads, and not that of its listener."""
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND usename = 'keyportal' AND query NOT LIKE '%%pg_notify%%'"
        )

    @property
    def has_forgotten(self) -> bool:
        """Whether the worker's cache is empty, and used again."""
        page = self.portal.get("/metrics").body.decode()
        metrics = {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in page.splitlines() if line[0] != "#")
        }
        return metrics["keyportal_cache_entries"] == 0 and metrics["keyportal_freshness_lease_seconds"] > 0

    @property
    def is_ready(self) -> bool:
        """Whether the worker may be given traffic."""
        return self.portal.get("/readyz").status == 200


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with postgres_cluster() as cluster, proxy_to(cluster.port) as proxy:
        url = cluster.url.replace(f":{cluster.port}/", f":{proxy.port}/")
        metrics = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(tmp_path / "metrics")}
        with Portal(tmp_path, url, **metrics).running(workers=1) as portal:
            portal.make_developer(OWNER)
            yield Site(portal, proxy, cluster)


def test_tables_that_come_before_the_portal_s_are_read_by_every_thread(site: Site) -> None:
    """A schema of the role's own name, which the search path of PostgreSQL puts first."""
    site.sql("CREATE SCHEMA keyportal")
    client, kept = site.client(), site.client()
    site.prepare()
    site.copy_to("keyportal")
    wait_until(lambda: site.has_forgotten)  # and no thread has asked since
    assert site.status_of(client) == 200  # one thread finds that the rings fit; the others still have their connections
    site.wait_until_all_accept(client)
    site.sql(REVOKE.format(schema="keyportal"), client.id)
    site.wait_until_all_refuse(client)
    site.wait_until_all_accept(kept)
    wait_until(lambda: site.is_ready)


def test_a_search_path_that_new_connections_have_is_everybody_s(site: Site) -> None:
    client, kept = site.client(), site.client()
    site.sql("CREATE SCHEMA other")
    site.copy_to("other")
    site.sql("ALTER ROLE keyportal SET search_path = other, public")
    site.end_connections()  # the listener's stays, and is in the old tables
    site.sql(REVOKE.format(schema="other"), client.id)
    site.wait_until_all_refuse(client)
    site.wait_until_all_accept(kept)
    wait_until(lambda: site.is_ready)


@contextmanager
def restored_cluster(site: Site) -> Iterator[Cluster]:
    """Start another cluster with the same data, and lead new connections to it; the old ones go on."""
    with postgres_cluster() as other:
        with psycopg.connect(other.url, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE keyportal PASSWORD '{site.cluster.password}'")
        other.password = site.cluster.password
        site.load(other, site.dump())
        site.proxy.upstream = other.port
        yield other
        site.proxy.cut()


def test_new_connections_to_a_restored_cluster_take_everybody_there(site: Site) -> None:
    client, kept = site.client(), site.client()
    with restored_cluster(site) as other:
        site.sql(REVOKE.format(schema="public"), client.id, cluster=other)
        site.wait_until_all_refuse(client)
        site.wait_until_all_accept(kept)
        wait_until(lambda: site.is_ready)


def test_a_listener_that_stays_elsewhere_is_trusted_no_more(site: Site, tmp_path: Path) -> None:
    """Notifications come by a way of their own, which goes on leading to the old cluster."""
    site.portal.stop()
    site.portal.environment["KEYPORTAL_LISTEN_URL"] = site.cluster.url
    site.portal.start(workers=1)
    client, kept = site.client(), site.client()
    with restored_cluster(site) as other:
        wait_until(lambda: not site.is_ready)
        assert DISAGREE in json.loads(site.portal.get("/readyz").body)["faults"]
        site.wait_until_all_accept(kept)
        for known in (client, kept):
            site.sql(REVOKE.format(schema="public"), known.id, cluster=other)
            wait_until_refused(lambda known=known: site.status_of(known), at_once=True)  # type: ignore[misc]
        assert (
            site.portal.log.read_text().count(
                "lead to different servers, databases or tables: every request queries the database"
            )
            == 1
        )
