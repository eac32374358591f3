"""Limits on attempts. They are counted in the database, which all workers share and log-in needs anyway.

No row is evicted: each is removed when its time is over. A row does not show whose it is, because its id is a keyed
digest. Each limit is a setting, has its own message for the user, and says after how many seconds to try again.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from limits import RateLimitItem, parse

from accounts.models import AttemptWindow
from integrity.rings import index_ring
from vault.digests import index_digest

FIRST_DELAY: Final = 30  # seconds; each further failure doubles it
MAX_DELAY: Final = 900  # seconds


class TooManyAttemptsError(Exception):
    """A limit is used up. Carries the message for the user, and the seconds until another attempt is allowed."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class _Limit:
    setting: str
    message: str = ""
    """The message for the user; the page adds how long to wait."""
    fixed: str = ""
    """The rate of a limit that is no setting because it blocks no user, but bounds how often something is recorded."""

    @property
    def rate(self) -> RateLimitItem:
        """The amount and period from the setting as it is now, such as `30 per 5 minutes`."""
        return _parsed(self.fixed or getattr(settings, self.setting))


@dataclass(frozen=True, slots=True)
class AttemptLimit(_Limit):
    """At most this many attempts for one key in a sliding window of time.

    Attempts are counted in fixed windows. The count of the previous window is weighted by the share of it that the
    sliding window still covers, so that the amount can't be had twice around a window's edge.
    """

    def hit(self, key: str) -> int:
        """Count an attempt; return 0 if it is within the limit, otherwise the seconds until another one is allowed.

        A single UPDATE counts, so that parallel attempts can't slip through together.
        """
        now = time.time()
        with transaction.atomic():
            _count(self._bucket(key, now), self._end(now))
            wait = self._wait(*self._counts(key, now), now)
            if wait:
                self.refund(key)  # what is refused must not prolong the wait
        return wait

    def enforce(self, key: str) -> None:
        """Count an attempt. Raises `TooManyAttemptsError` above the limit."""
        if wait := self.hit(key):
            raise TooManyAttemptsError(self.message, wait)

    def refund(self, key: str) -> None:
        """Take an attempt back, because it was not a guess."""
        AttemptWindow.objects.filter(pk=self._bucket(key, time.time()), count__gt=0).update(count=F("count") - 1)

    def retry_after(self, key: str) -> int:
        """Return the seconds until another attempt is allowed, 0 if one is now. Counts nothing."""
        now = time.time()
        before, count = self._counts(key, now)
        return self._wait(before, count + 1, now)

    def _counts(self, key: str, now: float) -> tuple[int, int]:
        """Return the counts of the previous window and of the current one."""
        names = self._bucket(key, now - self._seconds), self._bucket(key, now)
        found = dict(AttemptWindow.objects.filter(pk__in=names).values_list("pk", "count"))
        return found.get(names[0], 0), found.get(names[1], 0)

    def _wait(self, before: int, count: int, now: float) -> int:
        """Return the seconds until `count` in this window and the weighted `before` are within the limit."""
        left, amount = self._seconds - now % self._seconds, self.rate.amount
        if count > amount:  # until this window, without the refused attempt, weighs little enough in the next one
            return int(left + self._seconds * (1 - (amount - 1) / (count - 1))) + 1
        excess = before * left / self._seconds + count - amount
        return int(excess * self._seconds / before) + 1 if excess > 0 else 0

    @property
    def _seconds(self) -> int:
        return self.rate.get_expiry()

    def _end(self, now: float) -> datetime:
        """Return when this window is no longer needed, which is at the end of the next one."""
        return datetime.fromtimestamp((now // self._seconds + 2) * self._seconds, UTC)

    def _bucket(self, key: str, now: float) -> str:
        return _digest(f"{self.setting}\n{int(now // self._seconds)}\n{key}")


@dataclass(frozen=True, slots=True)
class GrowingDelay(_Limit):
    """A delay that doubles with each attempt beyond a free amount, up to a quarter of an hour.

    It serves limits that a stranger can use up in an owner's name, because it never locks the owner out for long. The
    setting `20 per hour` gives the free amount, and the time without attempts after which the count starts over. An
    attempt that comes too early is not counted, and so does not prolong the delay.
    """

    def hit(self, key: str) -> int:
        """Count an attempt; return 0 if it is allowed now, otherwise the seconds until one is."""
        while True:
            now = datetime.fromtimestamp(time.time(), UTC)
            row = self._row(key, now)
            if row.blocked_until and row.blocked_until > now:
                return int((row.blocked_until - now).total_seconds()) + 1
            count = row.count + 1 if row.ends_at > now else 1
            # Of several attempts at once, one is counted; the others read the row again.
            unchanged = AttemptWindow.objects.filter(
                pk=row.pk, count=row.count, ends_at=row.ends_at, blocked_until=row.blocked_until
            )
            if unchanged.update(count=count, ends_at=self._forgotten_at(now), blocked_until=self._blocked(count, now)):
                return 0

    def refund(self, key: str) -> None:
        """Take an attempt and its delay back, because it was not a guess."""
        counted = AttemptWindow.objects.filter(pk=self._bucket(key), count__gt=0)
        counted.update(count=F("count") - 1, blocked_until=None)

    def _row(self, key: str, now: datetime) -> AttemptWindow:
        row, _ = AttemptWindow.objects.get_or_create(
            pk=self._bucket(key), defaults={"count": 0, "ends_at": self._forgotten_at(now)}
        )
        return row

    def _blocked(self, count: int, now: datetime) -> datetime | None:
        excess = count - self.rate.amount
        if excess < 0:
            return None
        return now + timedelta(seconds=min(FIRST_DELAY * 2 ** min(excess, 16), MAX_DELAY))

    def _forgotten_at(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.rate.get_expiry())

    def _bucket(self, key: str) -> str:
        return _digest(f"{self.setting}\n{key}")


# Cached by the text: settings are read at every call, so that a test can change them.
_parsed = lru_cache(maxsize=64)(parse)


def _digest(text: str) -> str:
    return index_digest(index_ring().primary, text).hex()


def _count(bucket: str, ends_at: datetime) -> None:
    """Raise the count of a bucket by one in a single statement; the first attempt creates the row."""
    if AttemptWindow.objects.filter(pk=bucket).update(count=F("count") + 1):
        return
    try:
        with transaction.atomic():
            AttemptWindow.objects.create(pk=bucket, count=1, ends_at=ends_at)
    except IntegrityError:
        AttemptWindow.objects.filter(pk=bucket).update(count=F("count") + 1)
