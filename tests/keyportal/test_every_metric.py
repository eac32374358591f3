"""Every metric is exposed by a started portal, documented, and true; and what is documented is exposed."""

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric as Family

from keyportal.metrics.metric import Kind
from keyportal.metrics.table import METRICS
from tests.keyportal.metrics_portal import EMAIL, families, metrics_portal, values
from tests.portal import ROOT, Portal
from tests.prometheus.server import Prometheus
from tests.prometheus.test_dashboard import expressions
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.second  # SQLite has all of these but the lease

DOCUMENTED = re.compile(r"^\| `(keyportal_\w+)(?:\{([\w,]+)\})?` \| \S.* \| \S.* \|$", re.MULTILINE)
LABELS = {"entry_point", "outcome", "kind", "status", "service", "task", "event", "ring", "within", "version", "python"}
LABELS |= {"level"}
"""Every label that there is. None may name a key, an account, a secret or an address."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal with everything that a metric can tell of."""
    with metrics_portal(tmp_path_factory.mktemp("site")) as (started, _):
        yield started


def name_of(family: Family) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def documented() -> dict[str, tuple[str, ...]]:
    page = (ROOT / "docs/operations.md").read_text()
    return {name: tuple(labels.split(",")) if labels else () for name, labels in DOCUMENTED.findall(page)}


def test_every_metric_is_exposed_and_documented_and_no_other(site: Portal) -> None:
    unseen = {"keyportal_audit_events_total"}  # until a worker records an event
    exposed = families(site)
    assert {name_of(family) for family in exposed} == documented().keys()
    assert {name_of(family) for family in exposed if not family.samples} <= unseen
    for family in exposed:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels <= LABELS
        assert not family.samples or labels == set(documented()[name_of(family)])


def test_an_event_of_a_worker_is_counted(site: Portal) -> None:
    def failed() -> float:
        found = [family for family in families(site) if family.name == "keyportal_audit_events"]
        return sum(one.value for one in found[0].samples if one.labels["event"] == "login_failed")

    before = failed()
    basic = b64encode(f"{EMAIL}:wrong".encode()).decode()
    head = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    assert site.request("POST", "/api/v1/tokens", headers=head, body=b"{}").status == 401
    wait_until(lambda: failed() > before)


def test_what_they_say_is_so(site: Portal) -> None:
    seen = values(site)
    assert seen["keyportal_ready"] == seen["keyportal_rings_fit"] == 1
    assert 0 < seen["keyportal_audit_link_age_seconds"] < DEADLINE
    assert 0 < seen["keyportal_purge_age_seconds"] < DEADLINE
    assert seen["keyportal_workers_started_total"] == 2
    assert seen["keyportal_feed_polls_total"] == seen["keyportal_feed_callers"] == 1
    assert 0 < seen["keyportal_open_descriptors"] < seen["keyportal_descriptor_limit"]
    assert seen["keyportal_resident_memory_bytes"] > 2**24
    assert seen["keyportal_integrity_violations_total"] == 0
    labelled = {
        (sample.name, *sample.labels.values()): sample.value for family in families(site) for sample in family.samples
    }
    assert labelled["keyportal_keys_expiring", "7d"] == 0
    assert labelled["keyportal_keys_expiring", "30d"] == 1
    for ring in ("sealing", "index", "signing"):
        assert labelled["keyportal_ring_keys", ring] == 1
        assert 0 <= labelled["keyportal_ring_key_age_seconds", ring] < DEADLINE
    for task in ("usage", "metrics", "metrics_survey", "purge", "audit_chain", "notices", "used_answers"):
        assert 0 <= labelled["keyportal_task_age_seconds", task] < DEADLINE
        assert labelled["keyportal_task_failures_total", task] == 0
    assert labelled["keyportal_http_requests_total", "page", "2xx"] == 1
    assert labelled["keyportal_http_request_seconds_count", "page"] == 1


@pytest.mark.prometheus
def test_prometheus_evaluates_every_alert_and_every_panel(site: Portal, tmp_path: Path) -> None:
    with Prometheus(tmp_path, site.port).running() as prometheus:
        wait_until(lambda: prometheus.query("count_over_time(keyportal_ready[1m]) > 2"))
        wait_until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()))
        assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
        assert [rule["name"] for rule in prometheus.rules() if rule["state"] != "inactive"] == []
        empty = [expression for expression in expressions() if not prometheus.query(expression)]
        # Nothing refused a verdict, and no worker recorded an event.
        without = ('outcome!="accepted"', "audit_events")
        assert [expression for expression in empty if not any(name in expression for name in without)] == []


def test_a_worker_that_dies_is_counted_and_takes_nothing_back(site: Portal) -> None:
    before = values(site)
    site.stop()
    site.start()
    wait_until(lambda: values(site).get("keyportal_workers_started_total") == 4)
    after = values(site)
    for name in (metric.name for metric in METRICS if metric.kind is Kind.COUNTER and not metric.labels):
        assert after[name] >= before[name], name


def test_no_file_of_a_worker_is_open_to_others_or_names_a_key(site: Portal) -> None:
    folder = Path(site.environment["KEYPORTAL_METRICS_DIR"])
    text = "".join(path.read_text() for path in folder.iterdir())
    assert not re.search(r"kp_|(key|usr|sec)_[0-9A-Za-z]{20}|every-metric@", text)
