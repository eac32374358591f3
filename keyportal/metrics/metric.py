"""What defines a metric: its name, what it says, where a worker reads it, and how the values of workers become one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Any, Final

Labels = tuple[str, ...]
"""The values of a metric's labels, in their order. None names a key, an account, a secret or an address."""
Values = Mapping[Labels, Any]
"""Values by labels: numbers; for a histogram the counts of its buckets, with the sum last; for a set, its members."""

ALONE: Final[Labels] = ()
"""The labels of a metric that has none."""


class Kind(StrEnum):
    """The types of Prometheus that the portal uses."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Combine(StrEnum):
    """How the values of several workers become one."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"
    DISTINCT = "distinct"
    """Each worker has a set; the value is the number of members that are in any of them."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. The table in docs/operations.md, `/metrics` and the tests all follow these."""

    name: str
    """As it is exposed: a counter ends with `_total`."""
    kind: Kind
    says: str
    advice: str
    """What an operator does about it."""
    read: Callable[[], Any]
    """Return this worker's value, or its values by labels if there are labels; None if it has none."""
    labels: Labels = ()
    combine: Combine = Combine.SUM
    bounds: tuple[float, ...] = ()
    """Of a histogram's buckets, in seconds."""

    @property
    def lasts(self) -> bool:
        """Whether the values of workers that have ended count, because a counter must never go back."""
        return self.kind is not Kind.GAUGE

    def values(self) -> Values:
        """Return this worker's values by labels."""
        value = self.read()
        if value is None:
            return {}
        return value if self.labels else {ALONE: value}

    def combined(self, workers: Iterable[Values]) -> dict[Labels, Any]:
        """Return one value for each labels that a worker has. Raises ValueError for a histogram of other buckets."""
        by_labels: dict[Labels, list[Any]] = {}
        for values in workers:
            for labels, value in values.items():
                by_labels.setdefault(labels, []).append(value)
        return {labels: self._combined(values) for labels, values in by_labels.items()}

    def _combined(self, values: Sequence[Any]) -> Any:
        if self.kind is Kind.HISTOGRAM:
            return reduce(_added, values)
        if self.combine is Combine.DISTINCT:
            return sorted(set().union(*values))
        if self.combine is Combine.SUM:
            return sum(values)
        return max(values) if self.combine is Combine.MAX else min(values)


def counter(name: str, *, says: str, advice: str, read: Callable[[], Any], labels: Labels = ()) -> Metric:
    """Return a counter, which is the sum over all workers, those that have ended included."""
    return Metric(name, Kind.COUNTER, says, advice, read, labels)


def gauge(
    name: str, *, says: str, advice: str, read: Callable[[], Any], combine: Combine, labels: Labels = ()
) -> Metric:
    """Return a gauge."""
    return Metric(name, Kind.GAUGE, says, advice, read, labels, combine)


def histogram(
    name: str, *, says: str, advice: str, read: Callable[[], Any], bounds: tuple[float, ...], labels: Labels = ()
) -> Metric:
    """Return a histogram over these bounds."""
    return Metric(name, Kind.HISTOGRAM, says, advice, read, labels, bounds=bounds)


def _added(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [a + b for a, b in zip(one, other, strict=True)]
