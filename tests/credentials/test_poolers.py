"""Behind a connection pooler: no change is missed, and notifications can come by another way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.pgbouncer import pgbouncer
from tests.portal import Portal
from tests.staleness import IN_A_ROW, wait_until_refused
from tests.waiting import wait_until
from tests.with_postgres import Cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.pgbouncer]
POOLED = "the database is behind a connection pooler"
OWNER = "pooled@example.com"


@pytest.fixture(scope="module")
def near(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A shell at the same database without a pooler, and no server."""
    portal = Portal(tmp_path_factory.mktemp("near"), cluster.url)
    portal.command("migrate", "--verbosity=0")
    portal.make_developer(OWNER)
    yield portal
    portal.stop()


def behind(url: str, near: Portal, folder: Path, **environment: str) -> Portal:
    secrets = {name: value for name, value in near.environment.items() if name.endswith(("_KEY", "_KEYS"))}
    return Portal(folder, url, **secrets, **environment)


def paused_keys_are_refused(portal: Portal, near: Portal, *, at_once: bool) -> None:
    """Pause keys that every worker has seen, somewhere else."""
    oauth_client = OAuthClient(portal)
    for _ in range(4):
        client = ClientKey(*near.make_key(OWNER))
        assert {oauth_client.me(client.secret).status for _ in range(IN_A_ROW)} == {200}
        near.shell(f"APIKey.objects.filter(pk='{client.id}').update(paused_at='2026-01-01T00:00:00Z')")
        wait_until_refused(lambda secret=client.secret: oauth_client.me(secret).status, at_once=at_once)  # type: ignore[misc]


@pytest.mark.security("R-24")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_what_a_pooler_might_swallow_is_not_relied_on(
    cluster: Cluster, near: Portal, tmp_path: Path, mode: str
) -> None:
    with pgbouncer(cluster, mode) as url, behind(url, near, tmp_path).running(workers=1) as portal:
        paused_keys_are_refused(portal, near, at_once=True)  # nothing is cached
        log = portal.log.read_text()
        assert POOLED in log
        assert "listening for changes" not in log


@pytest.mark.security("R-24")
def test_notifications_can_come_past_the_pooler(cluster: Cluster, near: Portal, tmp_path: Path) -> None:
    with (
        pgbouncer(cluster, "transaction") as url,
        behind(url, near, tmp_path, KEYPORTAL_LISTEN_URL=cluster.url).running(workers=1) as portal,
    ):
        paused_keys_are_refused(portal, near, at_once=False)
        log = portal.log.read_text()
        assert POOLED not in log
        assert "listening for changes" in log


@pytest.mark.security("R-24")
def test_notifications_of_another_database_are_ignored(cluster: Cluster, near: Portal, tmp_path: Path) -> None:
    other = cluster.url.removesuffix("/keyportal") + "/postgres"
    with behind(cluster.url, near, tmp_path, KEYPORTAL_LISTEN_URL=other).running(workers=1) as portal:
        paused_keys_are_refused(portal, near, at_once=True)
        wait_until(lambda: "lead to different databases" in portal.log.read_text())
        assert "listening for changes" not in portal.log.read_text()
