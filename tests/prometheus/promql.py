"""Which metrics a PromQL expression reads, and by which labels, without an engine."""

import re
from typing import Final, NamedTuple

from keyportal.metrics.metric import Kind
from keyportal.metrics.table import METRICS

_STRING: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`')
_RANGE: Final = re.compile(r"\[[^\]]*\]|\boffset\s+\S+")
_GROUPING: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?")
_LABEL: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)")
_WORDS: Final = {"and", "or", "unless", "bool", "atan2", "inf", "nan", "group_left", "group_right"}
OF_PROMETHEUS: Final = {"up": {"job", "instance"}}
"""Metrics and labels that Prometheus makes itself."""
OF_A_TARGET: Final = {"job", "instance"}


class Selector(NamedTuple):
    """A metric, and the labels by which it is selected."""

    name: str
    labels: frozenset[str]


def selectors(expression: str) -> list[Selector]:
    """Return every metric that the expression reads."""
    text = _RANGE.sub("", _STRING.sub('""', expression))
    text = _GROUPING.sub(" ", text)
    found = []
    for match in _SELECTOR.finditer(text):
        name, matchers = match.groups()
        is_call = text[match.end() :].lstrip().startswith("(")
        is_number = match.start() > 0 and text[match.start() - 1].isdigit()
        if not is_call and not is_number and name not in _WORDS:
            found.append(Selector(name, frozenset(_LABEL.findall(matchers or ""))))
    return found


def groupings(expression: str) -> set[str]:
    """Return every label that the expression groups by."""
    text = _STRING.sub('""', expression)
    return {label.strip() for _, labels in _GROUPING.findall(text) for label in labels.split(",") if label.strip()}


def known_series() -> dict[str, set[str]]:
    """Return the name of each series of the portal, with the labels that it has once it is scraped."""
    series = dict(OF_PROMETHEUS)
    for metric in METRICS:
        labels = {*metric.labels, *OF_A_TARGET}
        if metric.kind is Kind.HISTOGRAM:
            series |= {f"{metric.name}_bucket": {*labels, "le"}, f"{metric.name}_sum": labels}
            series |= {f"{metric.name}_count": labels}
        else:
            series[metric.name] = labels
    return series


def mistakes(expression: str) -> list[str]:
    """Return what the expression names that the portal does not expose."""
    series = known_series()
    read = selectors(expression)
    wrong = [one.name for one in read if one.name not in series]
    wrong += [f"{one.name}{{{label}}}" for one in read for label in one.labels - series.get(one.name, set())]
    labels = {label for one in read for label in series.get(one.name, set())}
    return wrong + [f"by ({label})" for label in groupings(expression) - labels]
