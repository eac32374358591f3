"""Attempt counts, cache entries, and the check values of ring keys."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class AttemptWindow(models.Model):
    """A count of attempts in one window. It does not show whose they are, because the id is a keyed digest."""

    id = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True)

    class Meta:
        """Written by `accounts.attempts`."""

    def __str__(self) -> str:
        return self.id


class RingCanary(models.Model):
    """The check value of a ring's key, so that a process with another key under the same id refuses to start."""

    ring = models.CharField(max_length=16)
    key_id = models.CharField(max_length=16)
    value = models.BinaryField(max_length=32)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """One row per key."""

        constraints: ClassVar = [models.UniqueConstraint(fields=["ring", "key_id"], name="one_canary_a_key")]
        verbose_name_plural = "ring canaries"

    def __str__(self) -> str:
        return f"{self.ring}:{self.key_id}"


class CacheEntry(models.Model):
    """An entry of Django's cache, written by a library. Its value is JSON, so that reading it can't run code."""

    key = models.CharField(primary_key=True, max_length=250)
    value = models.JSONField()
    expires_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        """Written by `accounts.cache`."""

        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.key
