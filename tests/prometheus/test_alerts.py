"""The alert rules name metrics that exist, say what to do, and each fires when it should and not otherwise."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.portal import ROOT
from tests.prometheus.promql import Selector, mistakes, selectors
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once

RULES = ROOT / "deploy/prometheus/keyportal.rules.yml"
CONFIGURATION = ROOT / "deploy/prometheus/prometheus.yml"
TESTS = ROOT / "tests/prometheus/alerts.yml"
ASKED = re.compile(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}')


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE
    )


@pytest.mark.prometheus
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", str(RULES)),
        ("check", "config", str(CONFIGURATION)),
        ("test", "rules", str(TESTS)),
    ],
    ids=" ".join,
)
def test_prometheus_finds_nothing_wrong(command: tuple[str, ...]) -> None:
    checked = promtool(*command)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.prometheus
def test_an_alert_that_never_fires_is_noticed(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    text = RULES.read_text()
    assert "keyportal_ready == 0" in text
    rules.write_text(text.replace("keyportal_ready == 0", "keyportal_ready == 2"))
    tests = tmp_path / "tests.yml"
    tests.write_text(TESTS.read_text().replace("../../deploy/prometheus/keyportal.rules.yml", str(rules)))
    tested = promtool("test", "rules", str(tests))
    assert tested.returncode == 1
    assert "KeyportalNotReady" in tested.stdout + tested.stderr


def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not() -> None:
    tested: dict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for asked in test["promql_expr_test"]:
            (alert,) = ASKED.findall(asked["expr"])
            tested[alert].add(bool(asked["exp_samples"]))
    assert tested == {alert["alert"]: {True, False} for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_reads_what_exists_and_says_what_to_do(alert: dict[str, Any]) -> None:
    assert mistakes(alert["expr"]) == []
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    said = alert["annotations"]
    assert "keyportal" in said["summary"]
    assert len(said["description"].split(". ")) >= 2  # what it means, and what to do
    page, _, section = said["runbook_url"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert section in [heading.lower() for heading in headings]


def test_the_page_has_a_section_for_every_alert_and_no_other() -> None:
    page = (ROOT / "docs/operations.md").read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    sections = re.findall(r"^### (\w+)\n\n\*(\w+)\*\. ", page, re.MULTILINE)
    assert sections == [(alert["alert"], alert["labels"]["severity"]) for alert in alerts()]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("keyportal_ready == 0", [Selector("keyportal_ready", frozenset())]),
        ('sum by (job, le) (rate(a_bucket{x="y{z}", q=~"a|b"}[5m])) > 1e3', [Selector("a_bucket", frozenset("xq"))]),
        ("a / on (instance) group_left (b) c offset 5m", [Selector("a", frozenset()), Selector("c", frozenset())]),
        ("a and b unless c or vector(1)", [Selector(name, frozenset()) for name in "abc"]),
        ("count(count by (v) (a)) > 0.5", [Selector("a", frozenset())]),
    ],
)
def test_names_are_found_in_an_expression(expression: str, found: list[Selector]) -> None:
    assert selectors(expression) == found


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("keyportal_readyness == 0", ["keyportal_readyness"]),
        ('keyportal_ready{key="a"} == 0', ["keyportal_ready{key}"]),
        ("sum by (ring) (keyportal_ready)", ["by (ring)"]),
        ("rate(keyportal_verification_seconds[5m])", ["keyportal_verification_seconds"]),
        ("sum by (le) (rate(keyportal_verification_seconds_bucket[5m]))", []),
    ],
)
def test_what_does_not_exist_is_a_mistake(expression: str, wrong: list[str]) -> None:
    assert mistakes(expression) == wrong
