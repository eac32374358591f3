"""The frame in the admin site: when the last purge ran."""

from django.contrib import admin

from accounts.operators import ReadOnlyAdmin
from keyportal.models import TaskRun


@admin.register(TaskRun)
class TaskRunAdmin(ReadOnlyAdmin):
    """The last purge of expired rows: by the `purge` command (cron), or a small one by the portal itself."""

    list_display = ("task", "started_at", "finished_at", "by", "result")
    fields = list_display
