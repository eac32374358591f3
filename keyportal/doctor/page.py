"""The doctor's page in the admin site."""

import threading
from typing import Final

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from keyportal.doctor.deadline import begin
from keyportal.doctor.examination import examine_inside, examine_outside
from keyportal.doctor.findings import Finding, by_weight, summary
from keyportal.doctor.outside.site import Site

STEP_TIMEOUT: Final = 1.0
"""Seconds for each step of a request to the public address: the page itself has a deadline."""
ALL_WITHIN: Final = 5.0
"""Seconds for all of them."""
_alone: Final = threading.Lock()


def doctor(site_page: ModelAdmin, request: HttpRequest) -> HttpResponse:  # type: ignore[type-arg]  # not generic at run time
    """Show what the doctor is; after a POST, what it finds."""
    context = {**site_page.admin_site.each_context(request), "title": "Doctor", "opts": site_page.opts}
    if request.method == "POST":
        context |= _results()
    return TemplateResponse(request, "admin/keyportal/doctor.html", {**context, "address": settings.KEYPORTAL_URL})


def _results() -> dict[str, object]:
    """Examine, unless this worker does so already: it would soon have no thread left for pages."""
    if not _alone.acquire(blocking=False):
        return {"summary": "An examination is running already. Try again in a few seconds."}
    try:
        found = _examine()
    finally:
        _alone.release()
    return {"findings": by_weight(found), "summary": summary(found)}


def _examine() -> list[Finding]:
    """Return all findings. Through the public address, another thread or worker of the portal answers."""
    site = Site(settings.KEYPORTAL_URL, step_timeout=STEP_TIMEOUT)
    outside = begin(lambda: examine_outside(site, within=ALL_WITHIN))
    return [*examine_inside(), *outside.result()]
