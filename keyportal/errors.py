"""What is answered when a view is not reached, breaks or says nothing: a page, or a problem where machines ask."""

import logging
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import BadRequest, DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.drafts import Why, keep_draft
from accounts.way_back import page_of, page_with_button
from keyportal.denied import record_denied
from keyportal.pages import is_for_machines
from keyportal.plain_page import POLICY, plain_page
from keyportal.problems import Problem, problem_of
from keyportal.quiet_errors import DATABASE

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
"""The statuses that have a page, `templates/errors/<status>.html`, and their codes."""
DETAILS: Final[Mapping[type[Exception], str]] = {
    DisallowedHost: "The Host header names no host under which this portal shows pages.",
    TooManyFieldsSent: "The form has too many fields.",
    RequestDataTooBig: "The form is too large.",
    BadRequest: "The address holds a byte that no address may hold.",
}
"""What was wrong, without a value: an operator finds it in the log, and whoever asked in the answer."""
RETRY_AFTER: Final = "60"  # seconds, for what is limited per account and address


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400, or 413 for a body over the limit: unknown host, bad form, too much data."""
    detail = next((words for kind, words in DETAILS.items() if isinstance(exception, kind)), "")
    logger.info("400: %s", detail or type(exception).__name__)
    return error_response(request, 413 if isinstance(exception, RequestDataTooBig) else 400, detail=detail)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403, and put it on the record if it is known who was refused."""
    if not is_for_machines(request):
        record_denied(request, exception)
    return error_response(request, 403)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return error_response(request, 404)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 429: log-in and its neighbours are limited per account and per address."""
    if request.method == "POST" and not is_for_machines(request) and request.user.is_authenticated:
        keep_draft(request, Why.LIMITED)  # for a stranger a limit does no more work than it must
    return error_response(request, 429, {"Retry-After": RETRY_AFTER}, back=page_of(request))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 if the database can't be asked, else 500. The page needs neither database nor session."""
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
    """Answer an error with its page (or a more particular one), or with its problem where machines ask.

    `detail` says more than the status does; it quotes nothing that was sent.
    """
    if is_for_machines(request):
        members = {"detail": detail} if detail else {}
        return Problem(CODE_OF[status], members, headers or {}).answer(request.path_info)
    context["detail"] = detail
    context["request_id"] = getattr(request, "request_id", "")
    response = _page(request, f"errors/{page or status}.html", context, status)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def _page(request: HttpRequest, template: str, context: Mapping[str, Any], status: int) -> HttpResponse:
    """Return the page, or one without a template if that breaks: an answer with a status is better than another error.

    Raises errors of the database, unless it is the answer to one: they have a page of their own.
    """
    try:
        return render(request, template, context, status=status)
    except Exception as error:
        if isinstance(error, DATABASE) and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        logger.exception("the page of a %d broke", status)
    content, headers = plain_page(status, context["request_id"], context["detail"]), {"Content-Security-Policy": POLICY}
    return HttpResponse(content, status=status, headers=headers)


def with_words(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Put the page or the problem into an error that has no body, and leave its status and its headers as they are."""
    status = response.status_code
    other = 400 if status < HTTPStatus.INTERNAL_SERVER_ERROR else 500
    said = error_response(request, status if status in CODE_OF else other, back=page_with_button(request))
    response.content = said.content
    for name, value in said.items():
        if name == "Content-Type" or name not in response:
            response[name] = value
    return response
