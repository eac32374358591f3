"""What is answered when a view is not reached or breaks: a page of the portal, or a problem where machines ask."""

import sys

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from keyportal.denied import record_denied
from keyportal.pages import is_for_machines
from keyportal.problems import Problem, problem_of


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400, or 413 for a body over the limit: unknown host, bad form, too much data."""
    code = "too_large" if isinstance(exception, RequestDataTooBig) else "bad_request"
    return _answer(request, Problem(code), 413 if code == "too_large" else 400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403, and put it on the record if it is known who was refused."""
    if not is_for_machines(request):
        record_denied(request, exception)
    return _answer(request, Problem("permission_denied"), 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that did not come from a page of ours, or from one that has grown old."""
    return _answer(request, Problem("permission_denied"), 403, "csrf")


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return _answer(request, Problem("not_found"), 404)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 429: log-in and its neighbours are limited per account and per address."""
    response = _answer(request, Problem("rate_limited", headers={"Retry-After": "60"}), 429)
    response["Retry-After"] = "60"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 if the database can't be asked, else 500. The page needs neither database nor session."""
    problem = problem_of(sys.exc_info()[1], request) or Problem("internal_error")
    if problem.code != "unavailable":
        return _answer(request, Problem("internal_error"), 500)
    response = _answer(request, problem, 503)
    response["Retry-After"] = problem.response()["Retry-After"]
    return response


def _answer(request: HttpRequest, problem: Problem, status: int, page: str | None = None) -> HttpResponse:
    if is_for_machines(request):
        return problem.answer(request.path_info)
    return render(
        request, f"errors/{page or status}.html", {"request_id": getattr(request, "request_id", "")}, status=status
    )
