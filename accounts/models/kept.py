"""What is counted and kept for a while, and the canaries of the rings."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class AttemptWindow(models.Model):
    """How often something was tried. Whose it is can't be read from it: the id is a keyed digest."""

    id = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True)

    class Meta:
        """Counted by `accounts.attempts`."""

    def __str__(self) -> str:
        return self.id


class RingCanary(models.Model):
    """What each key of a ring looks like from outside: a start with another key under the same id is refused."""

    ring = models.CharField(max_length=16)
    key_id = models.CharField(max_length=16)
    value = models.BinaryField(max_length=32)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """One row a key."""

        constraints: ClassVar = [models.UniqueConstraint(fields=["ring", "key_id"], name="one_canary_a_key")]
        verbose_name_plural = "ring canaries"

    def __str__(self) -> str:
        return f"{self.ring}:{self.key_id}"


class CacheEntry(models.Model):
    """What a library keeps in Django's cache for a while: JSON, never anything that is executed when it is read."""

    key = models.CharField(primary_key=True, max_length=250)
    value = models.JSONField()
    expires_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        """Written by `accounts.cache`."""

        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.key
