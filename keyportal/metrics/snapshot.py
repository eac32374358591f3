"""The metrics of one worker at one moment, as they are written to its file."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from keyportal.metrics.metric import ALONE, Kind, Labels, Metric, Values
from keyportal.metrics.table import METRICS

ALIVE: Final = 30.0  # seconds; a worker writes every few


@dataclass(frozen=True)
class Snapshot:
    """The values of a worker's metrics."""

    at: float = 0.0
    """Their time, in seconds since 1970."""
    values: Mapping[str, Values] = field(default_factory=dict)
    """By name and labels."""

    @property
    def is_alive(self) -> bool:
        """Whether the worker has written recently."""
        return time.time() - self.at < ALIVE

    def value(self, name: str, labels: Labels = ALONE) -> Any:
        """Return one value; None if there is none."""
        return self.values.get(name, {}).get(labels)

    def as_json(self) -> str:
        """Return the content of a file."""
        values = {name: [[list(labels), value] for labels, value in each.items()] for name, each in self.values.items()}
        return json.dumps({"at": self.at, "values": values})

    @classmethod
    def of_json(cls, text: str) -> "Snapshot":
        """Return the snapshot from a file's content. Raises ValueError, KeyError or TypeError for any other content.

        A metric that this version does not know, or has in another form, is left out.
        """
        members: dict[str, Any] = json.loads(text)
        values = {name: {tuple(labels): value for labels, value in each} for name, each in members["values"].items()}
        known = {metric.name: _in_form(metric, values[metric.name]) for metric in METRICS if metric.name in values}
        return cls(float(members["at"]), known)


def own_snapshot() -> Snapshot:
    """Return this worker's current metrics."""
    return Snapshot(time.time(), {metric.name: metric.values() for metric in METRICS})


def combined(metric: Metric, workers: Iterable[Snapshot]) -> dict[Labels, Any]:
    """Return the values of a metric over all workers; those that have ended count only for what must not go back."""
    counting = [worker for worker in workers if metric.lasts or worker.is_alive]
    return metric.combined(worker.values.get(metric.name, {}) for worker in counting)


def total(workers: Iterable[Snapshot]) -> Snapshot:
    """Return the sums of what must not go back, which is all that can be added up, for workers that have ended."""
    every = list(workers)
    return Snapshot(0.0, {metric.name: combined(metric, every) for metric in METRICS if metric.lasts})


def _in_form(metric: Metric, values: Values) -> Values:
    buckets = len(metric.bounds) + 2  # one for what is beyond the last, and the sum
    has_form = metric.kind is not Kind.HISTOGRAM
    return {
        labels: value
        for labels, value in values.items()
        if len(labels) == len(metric.labels) and (has_form or len(value) == buckets)
    }
