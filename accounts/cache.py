"""A Django cache in the portal's database, for libraries. Its values are JSON, so reading one can't run code.

Django's own backends unpickle what they read, so write access to a row would mean code execution in every worker.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import IntegrityError, transaction
from django.utils import timezone
from typing_extensions import override

from accounts.models import CacheEntry


class JSONCache(BaseCache):
    """A cache whose entries are rows. No entry evicts another; expired ones are purged."""

    def __init__(self, location: str, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))

    @override
    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        entry = self._current(key, version)
        return default if entry is None else entry.value

    @override
    def add(
        self, key: str, value: Any, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Store a value if the key has none. Of concurrent callers, exactly one gets True."""
        name = self.make_and_validate_key(key, version=version)
        CacheEntry.objects.filter(pk=name, expires_at__lte=timezone.now()).delete()
        try:
            with transaction.atomic():
                CacheEntry.objects.create(pk=name, value=value, expires_at=self._end(timeout))
        except IntegrityError:
            return False
        return True

    @override
    def set(
        self, key: str, value: Any, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        entry = CacheEntry(
            key=self.make_and_validate_key(key, version=version), value=value, expires_at=self._end(timeout)
        )
        CacheEntry.objects.bulk_create(
            [entry], update_conflicts=True, unique_fields=["key"], update_fields=["value", "expires_at"]
        )

    @override
    def touch(self, key: str, timeout: float | object | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        entry = self._current(key, version)
        if entry is None:
            return False
        return bool(CacheEntry.objects.filter(pk=entry.pk).update(expires_at=self._end(timeout)))

    @override
    def delete(self, key: str, version: int | None = None) -> bool:
        removed, _ = CacheEntry.objects.filter(pk=self.make_and_validate_key(key, version=version)).delete()
        return bool(removed)

    @override
    def clear(self) -> None:
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
