"""Responses that need no template, database, static file or thread: health, and errors."""

from http import HTTPStatus

from django.conf import settings

from keyportal.errors.error_views import CODE_OF
from keyportal.errors.plain_page import POLICY, plain_page
from keyportal.errors.problems import RETRY_AFTER, Problem
from keyportal.http.policies import MACHINE_POLICY
from keyportal.http_server.request import Sender
from keyportal.http_server.response import Response


def common_headers(sender: Sender) -> dict[str, str]:
    """Return the headers that every response has. Django's middleware adds the same ones."""
    return {"x-request-id": sender.request_id, **headers_by_scheme(sender.scheme)}


def headers_by_scheme(scheme: str) -> dict[str, str]:
    """Return the headers that are the same for every response over this scheme."""
    headers = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "content-security-policy": MACHINE_POLICY,
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }
    if scheme == "https" and settings.SECURE_HSTS_SECONDS:
        headers["strict-transport-security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
    return headers


def health_response(sender: Sender) -> Response:
    """Return the response of `/healthz`: 200, because the process answers."""
    return Response(
        HTTPStatus.OK, [*common_headers(sender).items(), ("content-type", "application/json")], b'{"status": "ok"}'
    )


def problem_response(problem: Problem, path: str, sender: Sender) -> Response:
    """Return a problem as a response to a machine."""
    response = problem.response_for(path)
    headers = common_headers(sender) | {name.lower(): value for name, value in response.items()}
    return Response(response.status_code, list(headers.items()), response.content)


def error_response(path: str, status: HTTPStatus, sender: Sender, detail: str = "") -> Response:
    """Return an error in the format of this path: a problem for machines, a plain page for browsers."""
    if path.startswith(settings.KEYPORTAL_MACHINE_PATHS):
        return problem_response(Problem(CODE_OF[status], {"detail": detail} if detail else {}), path, sender)
    headers = common_headers(sender)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER)
    headers |= {"content-type": "text/html; charset=utf-8", "content-security-policy": POLICY}
    return Response(status, list(headers.items()), plain_page(status, sender.request_id, detail))
