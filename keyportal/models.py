"""What the frame records of its own work."""

from django.db import models


class TaskRun(models.Model):
    """The last run of a task such as the purge: when, by what, and its result. Operators see whether it still runs."""

    task = models.CharField(primary_key=True, max_length=20)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    """When a run last ended well: before `started_at` while one goes on, or if it failed."""
    by = models.CharField(max_length=20)
    result = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.task
