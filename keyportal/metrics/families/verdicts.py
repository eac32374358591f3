"""Metrics of verdicts."""

from typing import Final

from credentials.usage.counters import BOUNDS, usage_counters
from keyportal.metrics.metric import Labels, counter, histogram

LABELS: Final = ("entry_point", "outcome")


def _durations() -> dict[Labels, list[float]]:
    return {what: [*took.buckets, took.seconds] for what, took in list(usage_counters().durations.items())}


def _verdicts() -> dict[Labels, int]:
    return {what: sum(took.buckets) for what, took in list(usage_counters().durations.items())}


METRICS: Final = (
    counter(
        "keyportal_verifications_total",
        says="Verdicts about credentials, by entry point and outcome: `accepted`, a refusal's code, or `unavailable`.",
        advice="Any `unavailable`: look at readiness and the database. Many refusals of one code: a client's key "
        "ended, or somebody guesses; docs/errors.md has each code.",
        read=_verdicts,
        labels=LABELS,
    ),
    histogram(
        "keyportal_verification_seconds",
        says="How long a verdict took.",
        advice="Slower than before: more cache misses, a slower database, or a worker without CPU time.",
        read=_durations,
        bounds=BOUNDS,
        labels=LABELS,
    ),
)
