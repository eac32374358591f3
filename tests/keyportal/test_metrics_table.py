"""The table of metrics: names, units, and how the values of workers become one; and its page."""

import re
import tomllib
from itertools import pairwise

import pytest

from keyportal import VERSION
from keyportal.metrics.metric import ALONE, Combine, Kind, gauge
from keyportal.metrics.table import METRICS
from tests import metrics_page
from tests.portal import ROOT

pytestmark = pytest.mark.once


def test_the_tables_of_metrics_are_what_the_code_says() -> None:
    page = metrics_page.PAGE.read_text()
    assert metrics_page.BEGIN in page
    assert metrics_page.render(page) == page


def test_names_and_units_are_as_prometheus_recommends() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"keyportal_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert metric.says.endswith("."), metric.name
        assert metric.advice.endswith("."), metric.name
        if metric.kind is Kind.HISTOGRAM:
            assert metric.name.endswith("_seconds")
            assert all(low < high for low, high in pairwise(metric.bounds))
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize(
    ("combine", "values", "one"),
    [
        (Combine.SUM, (1, 2, 4), 7),
        (Combine.MAX, (1, 4, 2), 4),
        (Combine.MIN, (2, 1, 4), 1),
        (Combine.DISTINCT, (["a", "b"], ["b"], []), ["a", "b"]),
    ],
)
def test_the_values_of_workers_become_one(combine: Combine, values: tuple[object, ...], one: object) -> None:
    metric = gauge("keyportal_x", says="", advice="", read=lambda: None, combine=combine)
    assert metric.combined([*({ALONE: value} for value in values), {}]) == {ALONE: one}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
