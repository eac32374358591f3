"""Attempt counts and cache entries."""

from django.db import models


class AttemptWindow(models.Model):
    """A count of attempts in one window. It does not show whose they are, because the id is a keyed digest."""

    id = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.id


class CacheEntry(models.Model):
    """An entry of Django's cache, written by a library. Its value is JSON, so that reading it can't run code."""

    key = models.CharField(primary_key=True, max_length=250)
    value = models.JSONField()
    expires_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.key
