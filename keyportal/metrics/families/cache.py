"""Metrics of the verified cache, the lease that keeps it current, and the change feed."""

from typing import Final

from django.db import connection

from credentials.verified_cache import clock
from credentials.verified_cache.feed import change_feed
from credentials.verified_cache.freshness import freshness
from gateway.feed_polls import feed_polls
from keyportal.metrics.metric import Combine, counter, gauge


def _lease() -> float | None:
    return max(0.0, freshness().lease.until - clock.now()) if connection.vendor == "postgresql" else None


def _triggers_in_place() -> bool | None:
    fault = change_feed().fault
    return None if fault is None else not fault


METRICS: Final = (
    counter(
        "keyportal_cache_hits_total",
        says="Verdicts from the cache.",
        advice="Compare with the misses: a share far below what you are used to means that something clears the cache.",
        read=lambda: freshness().cache.hits,
    ),
    counter(
        "keyportal_cache_misses_total",
        says="Verdicts that queried the database.",
        advice="Many without many new credentials: look at the lease and at KEYPORTAL_CACHE_ENTRIES.",
        read=lambda: freshness().cache.misses,
    ),
    gauge(
        "keyportal_cache_entries",
        says="Credentials in the caches of the workers.",
        advice="At KEYPORTAL_CACHE_ENTRIES a worker: raise it, if the memory allows.",
        read=lambda: len(freshness().cache),
        combine=Combine.SUM,
    ),
    gauge(
        "keyportal_freshness_lease_seconds",
        says="PostgreSQL: seconds for which the worst worker still knows its cache to be current, at most 2.",
        advice="0 for more than a moment: every request queries the database. Look for “changes can't be detected” in "
        "the log.",
        read=_lease,
        combine=Combine.MIN,
    ),
    gauge(
        "keyportal_change_triggers_in_place",
        says="1 while the triggers that announce changes are as the migrations made them.",
        advice="0: run `manage.py createtriggers`, and find out who changed them.",
        read=_triggers_in_place,
        combine=Combine.MIN,
    ),
    counter(
        "keyportal_feed_polls_total",
        says="Answered polls of the change feed by verifiers elsewhere, each of which polls four times a second.",
        advice="None although you have verifiers: they ask the portal about each credential, or can't reach it.",
        read=lambda: feed_polls().count,
    ),
    gauge(
        "keyportal_feed_callers",
        says="Keys of services whose verifiers polled within the last minute.",
        advice="Fewer than your services: one of them has lost its key, its scope or its way to the portal.",
        read=lambda: feed_polls().recent_callers(),
        combine=Combine.DISTINCT,
    ),
)
