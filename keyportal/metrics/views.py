"""`/metrics` for Prometheus: verdicts by entry point and outcome, their durations, the verified cache, e-mails, usage.

A scrape reaches only one of several workers. So each worker writes its metrics to a file in `KEYPORTAL_METRICS_DIR`
every few seconds, and the worker that is scraped adds up all files and its own current metrics. The metrics of a worker
that has ended are kept, because a counter must never go back.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from typing_extensions import override

from audit.client_address import parse_address, parse_network
from credentials.usage.counters import BOUNDS
from keyportal.metrics.worker_files import WorkerMetrics, all_workers, total

LABELS = ("entry_point", "outcome")
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
    """The metrics of all workers of this machine, added up."""

    def __init__(self, workers: Sequence[WorkerMetrics]) -> None:
        self._workers = [worker for worker in workers if worker.is_alive]
        self._total = total(workers)

    @override
    def collect(self) -> Iterable[Metric]:
        yield from self._verdicts()
        yield from self._requests()
        yield from self._messages()
        yield CounterMetricFamily("keyportal_cache_hits", "Verdicts from the cache.", value=self._total.hits)
        yield CounterMetricFamily("keyportal_cache_misses", "Verdicts that queried the database.", self._total.misses)
        entries = sum(worker.entries for worker in self._workers)
        yield GaugeMetricFamily("keyportal_cache_entries", "Credentials in the cache.", entries)
        yield GaugeMetricFamily("keyportal_workers", "Workers on this machine that report metrics.", len(self._workers))
        leases = [worker.lease for worker in self._workers if worker.lease is not None]
        if leases:
            text = "Seconds for which the worst worker knows its cache to be current; 0: it queries the database."
            yield GaugeMetricFamily("keyportal_freshness_lease_seconds", text, min(leases))
        in_place = [worker.triggers_in_place for worker in self._workers if worker.triggers_in_place is not None]
        if in_place:
            text = "1 while the triggers that announce changes are in place; 0: run manage.py createtriggers."
            yield GaugeMetricFamily("keyportal_change_triggers_in_place", text, min(in_place))
        writable = min((worker.writable for worker in self._workers), default=True)
        text = "1 while the database accepts writes; 0: a full disk, a standby. Verdicts continue."
        yield GaugeMetricFamily("keyportal_database_takes_writes", text, writable)
        lag = max((worker.lag for worker in self._workers), default=0.0)
        yield GaugeMetricFamily("keyportal_usage_flush_lag_seconds", "Age of the oldest count not yet written.", lag)

    def _requests(self) -> Iterator[Metric]:
        text = "Requests that a thread is handling, or that wait for one."
        in_progress = GaugeMetricFamily("keyportal_requests_in_progress", text, labels=["kind"])
        text = "Requests that got 503 because too many others waited."
        refused = CounterMetricFamily("keyportal_requests_refused", text, labels=["kind"])
        for kind in ("verdicts", "others"):
            in_progress.add_metric([kind], sum(getattr(worker, f"{kind}_in_progress") for worker in self._workers))
            refused.add_metric([kind], getattr(self._total, f"{kind}_refused"))
        yield from (in_progress, refused)
        yield CounterMetricFamily(
            "keyportal_requests_late", "Requests that got 503 at their deadline.", self._total.late
        )
        connections = sum(worker.connections for worker in self._workers)
        yield GaugeMetricFamily("keyportal_connections", "Open connections.", connections)
        size = sum(worker.body_bytes for worker in self._workers)
        yield GaugeMetricFamily("keyportal_body_bytes", "Bytes held of bodies that are still arriving.", size)

    def _messages(self) -> Iterator[Metric]:
        yield CounterMetricFamily("keyportal_messages_sent", "Messages sent.", value=self._total.messages_sent)
        text = "Attempts to send a message that the mail server did not accept."
        yield CounterMetricFamily("keyportal_messages_failed", text, value=self._total.messages_failed)
        text = "Messages that will not be delivered."
        yield CounterMetricFamily("keyportal_messages_given_up", text, value=self._total.messages_given_up)
        waiting = max((worker.messages_waiting for worker in self._workers), default=0)
        yield GaugeMetricFamily("keyportal_messages_waiting", "Messages that wait for the mail server.", waiting)
        longest = max((worker.messages_wait for worker in self._workers), default=0.0)
        yield GaugeMetricFamily("keyportal_messages_wait_seconds", "How long the oldest of them has waited.", longest)

    def _verdicts(self) -> Iterator[Metric]:
        verdicts = CounterMetricFamily("keyportal_verifications", "Verdicts about credentials.", labels=LABELS)
        durations = HistogramMetricFamily("keyportal_verification_seconds", "How long a verdict took.", labels=LABELS)
        for (entry_point, outcome), took in sorted(self._total.durations.items()):
            verdicts.add_metric([entry_point, outcome], sum(took.buckets))
            ends = [*map(str, BOUNDS), "+Inf"]
            durations.add_metric(
                [entry_point, outcome], list(zip(ends, accumulate(took.buckets), strict=True)), took.seconds
            )
        yield verdicts
        yield durations
