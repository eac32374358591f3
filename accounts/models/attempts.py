"""Counts of attempts."""

from django.db import models


class AttemptWindow(models.Model):
    """A count of attempts in one window. It does not show whose they are, because the id is a keyed digest."""

    id = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.id
