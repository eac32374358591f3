"""Django's cache in the portal's database, for libraries: what is read from it is JSON and can do nothing.

Django's own backends unpickle what they read, so that whoever can write a row could run code in every worker.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import CacheEntry


class JSONCache(BaseCache):
    """Entries as rows. Nothing is pushed out by something else; what is over is purged."""

    def __init__(self, location: str, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return what is kept under the key and in its time; `default` if nothing is."""
        entry = self._current(key, version)
        return default if entry is None else entry.value

    def add(
        self, key: str, value: Any, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Keep a value if nothing is kept under the key. Of any number of callers at once one gets True."""
        name = self.make_and_validate_key(key, version=version)
        CacheEntry.objects.filter(pk=name, expires_at__lte=timezone.now()).delete()
        try:
            with transaction.atomic():
                CacheEntry.objects.create(pk=name, value=value, expires_at=self._end(timeout))
        except IntegrityError:
            return False
        return True

    def set(
        self, key: str, value: Any, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """Keep a value, whatever was there."""
        entry = CacheEntry(
            key=self.make_and_validate_key(key, version=version), value=value, expires_at=self._end(timeout)
        )
        CacheEntry.objects.bulk_create(
            [entry], update_conflicts=True, unique_fields=["key"], update_fields=["value", "expires_at"]
        )

    def touch(self, key: str, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Let an entry live until this time; return whether there is one."""
        entry = self._current(key, version)
        if entry is None:
            return False
        return bool(CacheEntry.objects.filter(pk=entry.pk).update(expires_at=self._end(timeout)))

    def delete(self, key: str, version: int | None = None) -> bool:
        """Forget an entry; return whether there was one."""
        removed, _ = CacheEntry.objects.filter(pk=self.make_and_validate_key(key, version=version)).delete()
        return bool(removed)

    def clear(self) -> None:
        """Forget everything."""
        CacheEntry.objects.all().delete()

    def _current(self, key: str, version: int | None) -> CacheEntry | None:
        entry = CacheEntry.objects.filter(pk=self.make_and_validate_key(key, version=version)).first()
        if entry is None or (entry.expires_at is not None and entry.expires_at <= timezone.now()):
            return None
        return entry

    def _end(self, timeout: float | object | None) -> datetime | None:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        if seconds is None:
            return None
        assert isinstance(seconds, int | float)  # noqa: S101  # what Django's interface says
        return datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=seconds)
