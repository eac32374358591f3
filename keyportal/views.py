"""Pages that belong to no app: the front page, the error codes, the theme, and what monitoring requests."""

import logging
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.way_back import way_back
from credentials.runtime.database_writes import database_writes
from credentials.runtime.quiet import Quiet
from keyportal.errors.codes import CODES
from keyportal.errors.redacted_errors import in_short
from keyportal.http.context import THEMES
from keyportal.readiness import faults

logger = logging.getLogger(__name__)

_quiet = Quiet()
YEAR = 365 * 24 * 3600
DIAGNOSED = ("missing_credential", "malformed_request", "invalid_token", "network_refused", "https_required")
"""Codes of refusals of which `/diagnose/` may show the cause."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what the portal is for, or redirect logged-in users to their keys."""
    if request.user.is_authenticated:
        return redirect("keys:list")
    return TemplateResponse(request, "home.html")


@require_safe
def error(request: HttpRequest, code: str) -> HttpResponse:
    """Show what an error code of the API means and what to do. A problem's `type` links here."""
    if code not in CODES:
        raise Http404
    context = {"code": code, "reason": CODES[code], "can_be_diagnosed": code in DIAGNOSED}
    return TemplateResponse(request, "docs/error.html", context)


def _page_of_switch(request: HttpRequest) -> str:
    back = request.POST.get("next", "")
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "/"


@require_POST
@way_back(page=_page_of_switch, press="System, Light or Dark")
def set_theme(request: HttpRequest) -> HttpResponse:
    """Store the browser's theme (light, dark or the system's), and redirect to the page where it was chosen."""
    theme = request.POST.get("theme", "")
    response = HttpResponseRedirect(_page_of_switch(request))
    if theme in THEMES:
        response.set_cookie(
            settings.KEYPORTAL_THEME_COOKIE, theme, max_age=YEAR, samesite="Lax", secure=settings.HTTPS, httponly=True
        )
    return response


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200, because the process runs. Needs no other service."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if the process may be given traffic, else 503 with the faults.

    A database that accepts no writes is only a warning: it still answers verdicts, and other processes use the same
    one.
    """
    found = [*faults(), *_page_faults(request)]
    warnings = [f"the database accepts no writes: {database_writes().fault}"] if database_writes().fault else []
    if found and _quiet.is_due(found[0]):
        logger.warning("not ready: %s", "; ".join(found))
    body = {"status": "unready" if found else "ready", "faults": found}
    body |= {"warnings": warnings} if warnings else {}
    return JsonResponse(body, status=503 if found else 200)


def clears_site_data(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Return the log-out view, made to clear the browser's copies of the portal's data (ASVS 14.3.1)."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if request.method == "POST":
            response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    return wrapped


def _page_faults(request: HttpRequest) -> list[str]:
    """Return why no page can be shown, if so. One page that needs no database stands for all."""
    try:
        render_to_string("errors/404.html", {"request_id": ""}, request)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is reported
        return [f"pages can't be shown: {in_short(error)}"]
    return []
