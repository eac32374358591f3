"""Limits on guessing, counted in the database: every worker of every machine shares it, and it is there when log-in is.

Fixed windows of time. One UPDATE counts, so that parallel guesses can't slip through together.
"""

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from credentials.models import Attempts


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many attempts in each window of so many seconds, for one key."""

    name: str
    amount: int
    seconds: int

    def take(self, key: str) -> int:
        """Count an attempt: 0 if it is within the limit, else the seconds until the next window."""
        now = time.time()
        with transaction.atomic():
            _count(self._bucket(key, now), self._end(now))
            count = Attempts.objects.values_list("count", flat=True).get(pk=self._bucket(key, now))
        return self._wait(now) if count > self.amount else 0

    def give_back(self, key: str) -> None:
        """Take an attempt back: it was no guess."""
        Attempts.objects.filter(pk=self._bucket(key, time.time()), count__gt=0).update(count=F("count") - 1)

    def wait(self, key: str) -> int:
        """Give the seconds until the next window if this one is used up, else 0. Counts nothing."""
        now = time.time()
        used_up = Attempts.objects.filter(pk=self._bucket(key, now), count__gte=self.amount).exists()
        return self._wait(now) if used_up else 0

    def _end(self, now: float) -> datetime:
        return datetime.fromtimestamp((now // self.seconds + 1) * self.seconds, UTC)

    def _wait(self, now: float) -> int:
        return int(self.seconds - now % self.seconds) + 1

    def _bucket(self, key: str, now: float) -> str:
        return hashlib.sha256(f"{self.name}\n{int(now // self.seconds)}\n{key}".encode()).hexdigest()


def _count(bucket: str, ends_at: datetime) -> None:
    """Raise the count of a bucket by one, in one statement; whoever comes first makes the row."""
    if Attempts.objects.filter(pk=bucket).update(count=F("count") + 1):
        return
    try:
        with transaction.atomic():
            Attempts.objects.create(pk=bucket, ends_at=ends_at)
    except IntegrityError:
        Attempts.objects.filter(pk=bucket).update(count=F("count") + 1)
