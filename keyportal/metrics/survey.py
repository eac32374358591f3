"""What a metric can say only after a query: a periodic task of each worker asks, at most once a minute.

No scrape and no verdict waits for it. Where no network may read the metrics, nothing is asked.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Final

from django.conf import settings
from django.utils import timezone

from apikeys.counts import expiring_keys, former_secrets
from audit.chain import last_link_at
from credentials.background import background
from integrity.key_check import RingMisfitError, confirm_rings, primary_keys_since
from keyportal.purge import last_purge_at
from keyportal.readiness import faults

SURVEY_EVERY: Final = 60.0
"""Seconds between two surveys of a worker."""


class Survey:
    """What the last survey of this process found."""

    def __init__(self) -> None:
        self.rings_fit: bool | None = None
        self.rings_since: Mapping[str, datetime] = {}
        """Since when the key of each ring that writes is known."""
        self.expiring: Mapping[str, int] = {}
        self.former_secrets: int | None = None
        self.former_secrets_in_use: int | None = None
        self.purged_at: datetime | None = None
        self.linked_at: datetime | None = None
        self._faults: list[str] | None = None

    @property
    def is_ready(self) -> bool | None:
        """Whether the database is reached, and there was no fault; None before the first survey."""
        return None if self._faults is None else background().reaches_database and not self._faults

    @property
    def unreachable(self) -> int:
        """How many rounds of the background thread did not reach the database."""
        return background().unreachable

    def run(self) -> None:
        """Find everything out. Raises `django.db.Error`."""
        if not settings.KEYPORTAL_METRICS_NETWORKS:
            return
        self._faults = faults()
        self.rings_fit = _rings_fit()
        self.rings_since = primary_keys_since()
        self.expiring = expiring_keys()
        self.former_secrets, self.former_secrets_in_use = former_secrets()
        self.purged_at, self.linked_at = last_purge_at(), last_link_at()


@cache
def survey() -> Survey:
    """Return the survey of this process."""
    return Survey()


os.register_at_fork(after_in_child=survey.cache_clear)


def seconds_since(at: datetime | None) -> float | None:
    """Return the seconds since a moment; None for none."""
    return None if at is None else max((timezone.now() - at).total_seconds(), 0.0)


def _rings_fit() -> bool:
    try:
        confirm_rings()
    except RingMisfitError:
        return False
    return True
