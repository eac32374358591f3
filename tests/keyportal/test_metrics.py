"""`/metrics`: who may read it, and that it speaks for all workers, also for those that are gone."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from credentials.usage.counters import BOUNDS
from credentials.verified_cache.lease import SECONDS as LEASE
from keyportal.metrics import worker_files
from keyportal.metrics.metric import ALONE, Values
from keyportal.metrics.snapshot import Snapshot, total
from keyportal.metrics.views import Workers
from keyportal.metrics.worker_files import EXITED_AFTER, WorkerFiles
from tests.databases import portal_database
from tests.portal import Portal
from tests.waiting import wait_until

pytestmark = pytest.mark.once


def samples(portal: Portal) -> dict[tuple[str, ...], float]:
    """Read the page as Prometheus does: value by name and labels, histograms' classes left out."""
    answer = portal.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *map(str, sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_metrics_are_404_unless_a_network_may_read_them(portal: Portal) -> None:
    assert portal.get("/metrics").status == 404


@pytest.mark.parametrize(("address", "status"), [("192.0.2.9", 200), ("192.0.3.1", 404), ("", 404)])
@pytest.mark.django_db
def test_only_the_named_networks_may_read_the_metrics(
    settings: Any, client: Client, tmp_path: Path, address: str, status: int
) -> None:
    settings.KEYPORTAL_METRICS_NETWORKS = ("192.0.2.0/24", "2001:db8::/32")
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path)
    assert client.get("/metrics", secure=True, REMOTE_ADDR=address).status_code == status
    forged = {"X-Forwarded-For": "192.0.2.9"}
    assert client.get("/metrics", secure=True, REMOTE_ADDR="198.51.100.1", headers=forged).status_code == 404


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.finding("H40")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PROMETHEUS, "application/openmetrics-text"),
        ("application/openmetrics-text", "application/openmetrics-text"),
        ("Application/OpenMetrics-Text; version=1.0.0", "application/openmetrics-text"),
        ("text/plain;q=0.5, application/openmetrics-text", "application/openmetrics-text"),
        ("application/openmetrics-text;q=0.1, text/plain", "text/plain"),
        ("application/openmetrics-text;q=0, text/plain", "text/plain"),
        ("*/*", "text/plain"),
        (",;=,;;q=x", "text/plain"),
        ("text/plain;a*=bogus'en'%41", "text/plain"),
        ("", "text/plain"),
    ],
)
@pytest.mark.django_db
def test_each_gets_the_format_that_they_ask_for(
    settings: Any, client: Client, tmp_path: Path, accept: str, kind: str
) -> None:
    settings.KEYPORTAL_METRICS_NETWORKS = ("127.0.0.1",)
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path)
    answer = client.get("/metrics", secure=True, headers={"Accept": accept})
    assert answer["Content-Type"].partition(";")[0] == kind
    read = openmetrics_families if "open" in kind else text_string_to_metric_families
    families = {family.name for family in read(answer.content.decode())}
    assert {"keyportal_verifications", "keyportal_workers"} <= families


@pytest.mark.security("L-08")
def test_it_speaks_for_every_worker_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url:
        opened = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(tmp_path / "metrics")}
        site = Portal(tmp_path, database_url, **opened)
        accepted = ("keyportal_verifications_total", "forward_auth", "accepted")
        with site.running():
            site.make_developer("metrics@example.com")
            _, secret = site.make_key("metrics@example.com")
            for _ in range(30):
                assert site.get("/gateway/auth", Authorization=f"Bearer {secret}").status == 200
            assert site.get("/gateway/auth", Authorization="Bearer kp_live_nothing").status == 401
            wait_until(lambda: samples(site)[accepted] >= 30)
            seen = samples(site)
            assert seen[accepted] == 30
            assert seen["keyportal_verifications_total", "forward_auth", "invalid_token"] == 1
            assert seen["keyportal_verification_seconds_count", "forward_auth", "accepted"] == 30
            assert seen["keyportal_verification_seconds_sum", "forward_auth", "accepted"] > 0
            assert seen["keyportal_cache_hits_total",] + seen["keyportal_cache_misses_total",] == 31
            assert seen["keyportal_cache_hits_total",] >= 1
            assert seen["keyportal_workers",] >= 1
            assert seen["keyportal_requests_in_progress", "verdicts"] >= 1  # this one
            assert seen["keyportal_connections",] >= 1
            assert seen["keyportal_requests_late_total",] == seen["keyportal_requests_refused_total", "others"] == 0
            wait_until(lambda: samples(site)["keyportal_messages_sent_total",])  # that there is a new key
            assert samples(site)["keyportal_messages_failed_total",] == 0
            assert seen["keyportal_usage_flush_lag_seconds",] >= 0
            if database_url.startswith("postgres"):
                assert 0 <= seen["keyportal_freshness_lease_seconds",] <= LEASE
            site.stop()
            site.start()
            assert site.get("/gateway/auth", Authorization=f"Bearer {secret}").status == 200
            wait_until(lambda: samples(site)[accepted] >= 31)
            assert samples(site)[accepted] == 31
            assert samples(site)["keyportal_messages_sent_total",] == 1
            exposition = site.get("/metrics").body.decode()
        left = "".join(path.read_text() for path in (tmp_path / "metrics").iterdir())
        assert not re.search(r"kp_|(key|usr|sec)_[0-9A-Za-z]{20}|metrics@example", exposition + left)


@pytest.mark.django_db
def test_the_files_of_workers_that_are_gone_become_one(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEYPORTAL_METRICS_NETWORKS = ("127.0.0.1",)
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path)
    counts = {
        "keyportal_cache_hits_total": 2,
        "keyportal_cache_misses_total": 1,
        "keyportal_messages_given_up_total": 1,
    }
    buckets = [3, *[0] * len(BOUNDS), 0.5]
    values: dict[str, Values] = {name: {ALONE: count} for name, count in counts.items()}
    values["keyportal_verification_seconds"] = {("api", "accepted"): buckets}
    for name, at in (("a", 1.0), ("b", 2.0), ("c", time.time() - EXITED_AFTER / 2)):
        (tmp_path / f"{name}.json").write_text(Snapshot(at, values).as_json())
    (tmp_path / "other.json").write_text(json.dumps({"of": "another version"}))
    monkeypatch.setattr(worker_files, "own_snapshot", Snapshot)
    for _ in range(2):  # each start does it
        own = WorkerFiles()
        own.write_snapshot()
        added = total(own.read())
        assert [added.value(name) for name in counts] == [6, 3, 3]
        assert added.value("keyportal_verification_seconds", ("api", "accepted")) == [9, *[0] * len(BOUNDS), 1.5]
    assert {"a.json", "b.json"}.isdisjoint(path.name for path in tmp_path.iterdir())
    assert (tmp_path / "c.json").exists()


def test_messages_that_wait_are_counted_once_however_many_workers_count_them() -> None:
    both = [(3, 9.0), (4, 12.5)]
    names = ("keyportal_messages_waiting", "keyportal_messages_wait_seconds")
    seen = [
        Snapshot(time.time(), {name: {ALONE: value} for name, value in zip(names, values, strict=True)})
        for values in both
    ]
    exposition = generate_latest(Workers(seen)).decode()
    assert "keyportal_messages_waiting 4.0" in exposition
    assert "keyportal_messages_wait_seconds 12.5" in exposition


@pytest.mark.django_db
def test_a_folder_that_can_not_be_written_breaks_nothing(settings: Any, client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.KEYPORTAL_METRICS_NETWORKS = ("127.0.0.1",)
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path / "file" / "metrics")
    WorkerFiles().write_snapshot()
    assert client.get("/metrics", secure=True).status_code == 200
