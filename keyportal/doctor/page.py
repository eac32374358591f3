"""The doctor's page in the admin site."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from keyportal.doctor.examination import examine_inside, examine_outside
from keyportal.doctor.findings import Finding, by_weight, summary, worst_status
from keyportal.doctor.outside.reach import UNREACHABLE
from keyportal.doctor.outside.site import Site

PATIENCE: Final = 1.0
"""Seconds for each step of a request to the public address: the page itself has a deadline."""
ALL_WITHIN: Final = 5.0
"""Seconds for all of them."""


def doctor(site_page: ModelAdmin, request: HttpRequest) -> HttpResponse:  # type: ignore[type-arg]  # not generic at run time
    """Show what the doctor is; after a POST, what it finds."""
    context = {**site_page.admin_site.each_context(request), "title": "Doctor", "opts": site_page.opts}
    if request.method == "POST":
        found = _examine()
        context |= {"findings": by_weight(found), "summary": summary(found), "status": worst_status(found)}
    return TemplateResponse(request, "admin/keyportal/doctor.html", {**context, "address": settings.KEYPORTAL_URL})


def _examine() -> list[Finding]:
    """Return all findings. Through the public address, another thread or worker of the portal answers."""
    threads = ThreadPoolExecutor(1)
    outside = threads.submit(examine_outside, Site(settings.KEYPORTAL_URL, patience=PATIENCE))
    threads.shutdown(wait=False)
    found = examine_inside()
    try:
        return [*found, *outside.result(timeout=ALL_WITHIN)]
    except TimeoutError:
        return [*found, UNREACHABLE.found("The public address answers too slowly to be examined here.")]
