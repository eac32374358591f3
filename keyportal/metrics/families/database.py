"""Metrics of the database and Redis, and whether the portal is ready."""

from typing import Final

from credentials.limits.rate_limiter import rate_limiter
from credentials.runtime.database_writes import database_writes
from credentials.usage.flusher import flusher
from credentials.verdict_query.query_timeout import breaker
from keyportal.metrics.metric import Combine, Labels, counter, gauge
from keyportal.metrics.survey import survey


def _open_breakers() -> dict[Labels, bool]:
    return {("database",): breaker().is_open, ("redis",): rate_limiter().is_counting_alone}


METRICS: Final = (
    gauge(
        "keyportal_ready",
        says="1 while the worst worker reaches the database, and its last look, at most a minute ago, found "
        "migrations, rings and triggers in order.",
        advice="0: `/readyz` and the log name the reason.",
        read=lambda: survey().is_ready,
        combine=Combine.MIN,
    ),
    gauge(
        "keyportal_rings_fit",
        says="1 while the key rings of the settings fit the database.",
        advice="0: every request gets 503. Give the portal the rings that this database was written with; `/readyz` "
        "names ring and key id.",
        read=lambda: survey().rings_fit,
        combine=Combine.MIN,
    ),
    gauge(
        "keyportal_database_takes_writes",
        says="1 while the database accepts writes.",
        advice="0: its disk is full, or it is read-only. Verdicts go on, everything else gets 503.",
        read=lambda: not database_writes().fault,
        combine=Combine.MIN,
    ),
    gauge(
        "keyportal_usage_flush_lag_seconds",
        says="Age of the oldest count that is not yet written.",
        advice="Above 60: the database is away or takes no writes. A worker that is killed now loses these counts.",
        read=lambda: flusher().lag,
        combine=Combine.MAX,
    ),
    gauge(
        "keyportal_circuit_open",
        says="Workers that leave a service alone because it did not answer: `database`, `redis`.",
        advice="`database`: verdicts that need a query get 503. `redis`: each worker counts rate limits by itself, so "
        "keys get more than their limit.",
        read=_open_breakers,
        combine=Combine.SUM,
        labels=("service",),
    ),
    counter(
        "keyportal_database_unreachable_total",
        says="Rounds of the background threads that did not reach the database.",
        advice="Rising: the log says why (“the database can't be reached”).",
        read=lambda: survey().unreachable,
    ),
)
