"""Responses for requests that reach no view, fail or have an empty error: a page, or a problem for machines."""

import logging
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import BadRequest, DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.drafts import Why, save_draft
from accounts.way_back import page_of, page_with_button
from keyportal.errors.denied import record_denied_access
from keyportal.errors.plain_page import POLICY, plain_page
from keyportal.errors.problems import Problem, problem_of
from keyportal.errors.redacted_errors import DATABASE
from keyportal.http.browser_only import is_for_machines

logger = logging.getLogger(__name__)

CODE_OF: Final[Mapping[int, str]] = {
    400: "bad_request",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    413: "too_large",
    414: "address_too_long",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_error",
    503: "unavailable",
}
"""Codes of the statuses that have a page, `templates/errors/<status>.html`."""
DETAILS: Final[Mapping[type[Exception], str]] = {
    DisallowedHost: "The Host header names a host under which this portal shows no pages.",
    TooManyFieldsSent: "The form has too many fields.",
    RequestDataTooBig: "The form is too large.",
    BadRequest: "The address contains a byte that is not allowed in addresses.",
}
"""What was wrong, without any value, for the operator's log and the response."""
RETRY_AFTER: Final = "60"  # seconds, for limits per account and address


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return 400, or 413 for a body over the limit: unknown host, bad form, too much data."""
    detail = next((sentence for kind, sentence in DETAILS.items() if isinstance(exception, kind)), "")
    logger.info("400: %s", detail or type(exception).__name__)
    return error_response(request, 413 if isinstance(exception, RequestDataTooBig) else 400, detail=detail)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return 403, and record it if the user is known."""
    if not is_for_machines(request):
        record_denied_access(request, exception)
    return error_response(request, 403)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return 404."""
    return error_response(request, 404)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return 429: log-in and related forms are limited per account and per address."""
    if request.method == "POST" and not is_for_machines(request) and request.user.is_authenticated:
        save_draft(request, Why.LIMITED)  # for an anonymous client, a limit does no more work than it must
    return error_response(request, 429, {"Retry-After": RETRY_AFTER}, back=page_of(request))


def server_error(request: HttpRequest) -> HttpResponse:
    """Return 503 if the database can't be queried, else 500. The page needs neither database nor session."""
    problem = problem_of(sys.exc_info()[1], request)
    if problem is None or problem.code != "unavailable":
        return error_response(request, 500)
    return error_response(request, 503, {"Retry-After": problem.response()["Retry-After"]})


def error_response(
    request: HttpRequest,
    status: int,
    headers: Mapping[str, str] | None = None,
    *,
    page: str = "",
    detail: str = "",
    **context: Any,
) -> HttpResponse:
    """Return an error with its page (or a more specific one), or as a problem on paths for machines.

    `detail` says more than the status does; it quotes nothing that was sent.
    """
    if is_for_machines(request):
        members = {"detail": detail} if detail else {}
        return Problem(CODE_OF[status], members, headers or {}).response_for(request.path_info)
    context["detail"] = detail
    context["request_id"] = getattr(request, "request_id", "")
    response = _page(request, f"errors/{page or status}.html", context, status)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def _page(request: HttpRequest, template: str, context: Mapping[str, Any], status: int) -> HttpResponse:
    """Return the page, or a plain one if its template fails: an answer with the right status beats a new error.

    Raises errors of the database, unless the page is for one: they have a page of their own.
    """
    try:
        return render(request, template, context, status=status)
    except Exception as error:
        if isinstance(error, DATABASE) and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        logger.exception("the error page for %d failed", status)
    content, headers = plain_page(status, context["request_id"], context["detail"]), {"Content-Security-Policy": POLICY}
    return HttpResponse(content, status=status, headers=headers)


def with_body(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Add the page or the problem to an error without a body, keeping its status and headers."""
    status = response.status_code
    other = 400 if status < HTTPStatus.INTERNAL_SERVER_ERROR else 500
    page = error_response(request, status if status in CODE_OF else other, back=page_with_button(request))
    response.content = page.content
    for name, value in page.items():
        if name == "Content-Type" or name not in response:
            response[name] = value
    return response
