"""The check values of ring keys."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class KeyCheck(models.Model):
    """The check value of a ring's key, so that a process with another key under the same id refuses to start."""

    ring = models.CharField(max_length=16)
    key_id = models.CharField(max_length=16)
    value = models.BinaryField(max_length=32)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["ring", "key_id"], name="one_check_a_key")]

    def __str__(self) -> str:
        return f"{self.ring}:{self.key_id}"
