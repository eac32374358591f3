"""The dashboard for Grafana: it reads what exists, shows every metric, and says what to do."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from keyportal.metrics.table import METRICS
from tests.portal import ROOT
from tests.prometheus.promql import mistakes, selectors

pytestmark = pytest.mark.once

DASHBOARD = json.loads((ROOT / "deploy/grafana/keyportal.json").read_text())
ROWS = ["Is it up", "Verdicts", "Latency", "Cache and lease", "Database and flush", "Messages", "Tasks"]
ROWS += ["Rings and keys", "Workers"]
UNITS = {"short", "reqps", "s", "percentunit", "bytes"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """Yield every expression, with the variables of Grafana as it would fill them in."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")


def test_it_has_the_rows_and_variables_that_it_should() -> None:
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == ROWS
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    assert DASHBOARD["schemaVersion"] >= 39


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_reads_what_exists_and_says_what_to_do(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 30
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    for target in panel["targets"]:
        assert mistakes(target["expr"]) == []
        assert target["datasource"]["uid"] == "${datasource}"
        read = selectors(target["expr"])
        assert read
        assert all("instance" in selector.labels for selector in read)


def test_every_metric_is_shown() -> None:
    read = {selector.name for expression in expressions() for selector in selectors(expression)}
    shown = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in read} | read
    assert {metric.name for metric in METRICS} <= shown


def test_no_two_panels_overlap_and_none_leaves_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
