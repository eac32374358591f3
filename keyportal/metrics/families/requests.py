"""Metrics of requests and connections."""

from typing import Final

from keyportal.http_server.load import meter
from keyportal.metrics.http_requests import BOUNDS, http_requests
from keyportal.metrics.metric import Combine, Labels, counter, gauge, histogram

KIND: Final = ("kind",)


def _in_progress() -> dict[Labels, int]:
    load = meter().read()
    return {("verdicts",): load.verdicts_in_progress, ("others",): load.others_in_progress}


def _refused() -> dict[Labels, int]:
    load = meter().read()
    return {("verdicts",): load.verdicts_refused, ("others",): load.others_refused}


METRICS: Final = (
    counter(
        "keyportal_http_requests_total",
        says="Requests that Django answered, by kind of path and class of status. Verdicts that need no Django are not "
        "among them.",
        advice="`5xx`: look for errors in the log, by request id. Many `4xx` of pages: somebody looks for holes.",
        read=lambda: http_requests().counts(),
        labels=("kind", "status"),
    ),
    histogram(
        "keyportal_http_request_seconds",
        says="How long Django took for a request, by kind of path.",
        advice="Pages slower than a second: look at the database, and at how many requests are in progress.",
        read=lambda: http_requests().durations(),
        bounds=BOUNDS,
        labels=KIND,
    ),
    gauge(
        "keyportal_requests_in_progress",
        says="Requests that a thread is handling, or that wait for one: verdicts, others.",
        advice="Near the number of threads for long: a slow database, or too few workers (docs/scaling.md).",
        read=_in_progress,
        combine=Combine.SUM,
        labels=KIND,
    ),
    counter(
        "keyportal_requests_refused_total",
        says="Requests that got 503 because too many others waited.",
        advice="More than a few: add workers, or find out what holds the threads.",
        read=_refused,
        labels=KIND,
    ),
    counter(
        "keyportal_requests_late_total",
        says="Requests that got 503 at their deadline.",
        advice="Any: the database is slow, or there is too much traffic; look at the latencies of the same minutes.",
        read=lambda: meter().read().late,
    ),
    gauge(
        "keyportal_connections",
        says="Open connections of clients.",
        advice="Near 4,096 a worker, or near the limit of descriptors: clients that don't close, or an attack.",
        read=lambda: meter().read().connections,
        combine=Combine.SUM,
    ),
    counter(
        "keyportal_connections_dropped_total",
        says="Connections that were dropped while they waited for their client, because there were too many.",
        advice="Any: raise the limit of descriptors (`LimitNOFILE`), or limit connections in front of the portal.",
        read=lambda: meter().read().dropped,
    ),
    gauge(
        "keyportal_body_bytes",
        says="Bytes held of bodies that are still arriving.",
        advice="Tens of megabytes: clients that send slowly, or an attack.",
        read=lambda: meter().read().body_bytes,
        combine=Combine.SUM,
    ),
)
