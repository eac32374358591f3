"""Entries of the cache of libraries."""

from django.db import models


class CacheEntry(models.Model):
    """An entry of Django's cache, written by a library. Its value is JSON, so that reading it can't run code."""

    key = models.CharField(primary_key=True, max_length=250)
    value = models.JSONField()
    expires_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.key
