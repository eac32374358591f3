"""A started portal that has everything that a metric can tell of, and what it exposes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.databases import portal_database
from tests.portal import Portal
from tests.waiting import wait_until

EMAIL = "every-metric@example.com"
FIRST_LINK = """
from audit import chain
from datetime import timedelta
chain.MIN_AGE = timedelta(0)
chain.extend_chain()
"""
"""For the portal's shell: a link of the trail's chain, without waiting until its events are old enough."""


@contextmanager
def metrics_portal(folder: Path, workers: int = 2, **environment: str) -> Iterator[tuple[Portal, str]]:
    """Start it; yield it with the secret of a service's key."""
    opened = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(folder / "metrics")}
    with portal_database(folder) as database_url:
        site = Portal(folder, database_url, **opened, **environment)
        site.make_developer(EMAIL)
        _, secret = site.make_key(EMAIL, "--scope", "credentials:verify", "--restricted", "--expires", "20d")
        site.shell(FIRST_LINK)
        site.manage("purge")
        with site.running(workers=workers):
            head = {"Authorization": f"Bearer {secret}"}
            assert site.get("/gateway/auth", **head).status == 200
            assert site.get("/api/v1/changes", **head).status == 200
            assert site.get("/accounts/login/").status == 200
            wait_until(lambda: values(site)["keyportal_workers"] == workers)
            wait_until(lambda: "keyportal_ready" in values(site))
            yield site, secret


def families(site: Portal) -> list[Metric]:
    """Return what Prometheus reads."""
    return list(text_string_to_metric_families(site.get("/metrics").body.decode()))


def values(site: Portal) -> dict[str, float]:
    """Return the value of each metric that has no labels."""
    return {sample.name: sample.value for family in families(site) for sample in family.samples if not sample.labels}
