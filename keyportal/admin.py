"""The frame in the admin site: when the last purge ran, and the doctor."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from accounts.operators import ReadOnlyAdmin, operators_page
from accounts.way_back import way_back
from keyportal.doctor import page
from keyportal.models import TaskRun


@admin.register(TaskRun)
class TaskRunAdmin(ReadOnlyAdmin):
    """The last purge of expired rows: by the `purge` command (cron), or a small one by the portal itself."""

    list_display = ("task", "started_at", "finished_at", "by", "result")
    fields = list_display
    change_list_template = "admin/keyportal/task_runs.html"

    @operators_page("doctor/", permission="view")
    @way_back(press="Examine")
    def doctor(self, request: HttpRequest) -> HttpResponse:
        """Look at the deployment on request, and show what is found."""
        return page.doctor(self, request)
