"""`/metrics` for Prometheus: every metric of the table, for all workers of this machine.

A scrape reaches only one of several workers. So each worker writes its metrics to a file in `KEYPORTAL_METRICS_DIR`
every few seconds, and the worker that is scraped combines all files and its own current metrics. The metrics of a
worker that has ended are kept, because a counter must never go back.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from typing_extensions import override

from audit.client_address import parse_address, parse_network
from keyportal.metrics.metric import Combine, Kind, Metric
from keyportal.metrics.snapshot import Snapshot, combined
from keyportal.metrics.table import METRICS
from keyportal.metrics.worker_files import all_workers

OPENMETRICS = "application/openmetrics-text"


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics to the networks that may ask: as OpenMetrics if they accept it, else as Prometheus' text.

    Other clients get a 404.
    """
    client = parse_address(request.META["REMOTE_ADDR"])
    allowed = map(parse_network, settings.KEYPORTAL_METRICS_NETWORKS)
    if client is None or not any(client in network for network in allowed):
        raise Http404
    workers = Workers(all_workers())
    if _prefers_openmetrics(request):
        text: bytes = openmetrics.generate_latest(workers)  # type: ignore[no-untyped-call]  # the library has no types
        return HttpResponse(text, content_type=openmetrics.CONTENT_TYPE_LATEST)
    return HttpResponse(generate_latest(workers), content_type=CONTENT_TYPE_LATEST)


def _prefers_openmetrics(request: HttpRequest) -> bool:
    """Return whether a client names OpenMetrics and prefers it to text. The format's versions make no difference."""
    try:
        kinds = [f"{kind.main_type}/{kind.sub_type}".lower() for kind in request.accepted_types]
    except ValueError:  # a parameter in RFC 2231's form with an unknown charset
        return False
    return next((kind for kind in kinds if kind in (OPENMETRICS, "text/plain")), "") == OPENMETRICS


class Workers(Collector):
    """The metrics of all workers of this machine."""

    def __init__(self, workers: Sequence[Snapshot]) -> None:
        self._workers = workers

    @override
    def collect(self) -> Iterable[Family]:
        for metric in METRICS:
            family = _family(metric)
            for labels, value in sorted(combined(metric, self._workers).items()):
                _add(family, metric, list(labels), value)
            yield family


def _family(metric: Metric) -> Any:
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.says, labels=metric.labels)
    kind = HistogramMetricFamily if metric.kind is Kind.HISTOGRAM else GaugeMetricFamily
    return kind(metric.name, metric.says, labels=metric.labels)


def _add(family: Any, metric: Metric, labels: list[str], value: Any) -> None:
    if metric.kind is not Kind.HISTOGRAM:
        family.add_metric(labels, len(value) if metric.combine is Combine.DISTINCT else float(value))
        return
    *buckets, seconds = value
    ends = [*map(str, metric.bounds), "+Inf"]
    family.add_metric(labels, list(zip(ends, accumulate(buckets), strict=True)), seconds)
