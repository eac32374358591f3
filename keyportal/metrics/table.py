"""Every metric of the portal in one table. Exposition, workers' files, documentation and tests all follow it.

To add a metric, add it to one of the families. `make configuration` documents it in docs/operations.md.
"""

from collections.abc import Mapping
from typing import Final

from keyportal.metrics.families import cache, database, keys, messages, process, requests, tasks, verdicts
from keyportal.metrics.metric import Metric

FAMILIES: Final[Mapping[str, tuple[Metric, ...]]] = {
    "Verdicts": verdicts.METRICS,
    "Cache, lease and change feed": cache.METRICS,
    "Requests and connections": requests.METRICS,
    "Database, Redis and readiness": database.METRICS,
    "Messages": messages.METRICS,
    "Tasks, purge and audit trail": tasks.METRICS,
    "Rings and keys": keys.METRICS,
    "Workers and processes": process.METRICS,
}
METRICS: Final = tuple(metric for family in FAMILIES.values() for metric in family)
