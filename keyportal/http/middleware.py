"""The middleware that every request passes first and every response last."""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from audit.client_address import new_request_id
from credentials.admission import response_headers
from credentials.verified_cache.freshness import freshness
from keyportal.errors.error_views import error_response, with_body
from keyportal.http.browser_only import is_for_machines
from keyportal.http.policies import MACHINE_POLICY
from keyportal.http_server.environ import PEER, REFUSAL, REQUEST_ID, ROUTE
from keyportal.http_server.request import UnreadableError
from keyportal.logs import request_id, route
from keyportal.metrics.http_requests import http_requests

GetResponse = Callable[[HttpRequest], HttpResponse]

access_log = logging.getLogger("keyportal.access")
PAGE_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
HEALTH_PATHS = ("/healthz", "/readyz", "/metrics")
PUBLISHED = "/.well-known/"
"""Paths whose content depends on the settings alone. Offline verifiers need them even while the database is away."""


class RequestContextMiddleware:
    """Sets the id and the sender that the server found for the request, and writes the access line.

    `META["REMOTE_ADDR"]` is the client's address and `request.scheme` its scheme (`keyportal.http_server.request`).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, which carries the request's id."""
        started = time.perf_counter()
        # Without the portal's server (Django's test client, its development server) the peer is the client.
        named = request.META.get(REQUEST_ID) or new_request_id()
        request.request_id = named  # type: ignore[attr-defined]  # accounts.requests.PortalRequest
        request.peer_address = request.META.get(PEER, request.META["REMOTE_ADDR"])  # type: ignore[attr-defined]  # there
        token = request_id.set(named)
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = request_id.get()
            took = time.perf_counter() - started
            request.META[ROUTE] = route(request)
            http_requests().add(request.path_info, response.status_code, took)
            _log_access(request, response, took)
        finally:
            request_id.reset(token)
        return response


class ResponseHeadersMiddleware:
    """Keeps responses out of caches unless the view says otherwise (ASVS 14.3.2), and odd requests out of views."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add `Cache-Control: no-store` unless the view set the header; refuse requests that no view should see."""
        response = self._refusal(request) or self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in response_headers(request).items():
            response.headers[name] = value
        if is_for_machines(request):
            response.headers["Content-Security-Policy"] = MACHINE_POLICY
            response.headers["X-Frame-Options"] = "DENY"
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        """Return the refusal that the server left to Django; None if the request may go on. Raises `BadRequest`."""
        refused: UnreadableError | None = request.META.get(REFUSAL)
        if refused is not None:
            return error_response(request, refused.status, detail=refused.detail)
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            # No client needs a NUL, and PostgreSQL can't be queried for one.
            raise BadRequest("a NUL in the address")
        return None

    def process_view(self, request: HttpRequest, *view: object) -> HttpResponse | None:
        """Refuse methods that no page takes, before the CSRF check complains or a library's view takes PUT for POST."""
        if request.method in PAGE_METHODS or is_for_machines(request):
            return None
        return error_response(request, 405, {"Allow": ", ".join(PAGE_METHODS[:3])})


class ErrorPagesMiddleware:
    """Gives a body to errors without one, such as a decorator's 405 or a library's 404."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return an error with its page or problem. Headers such as Allow stay."""
        response = self.get_response(request)
        if response.status_code < HTTPStatus.BAD_REQUEST or response.streaming or response.content:
            return response
        return with_body(request, response)


class RingsMiddleware:
    """Refuses every request until the key rings are known to fit the database; wrong ones would refuse good keys.

    It checks the database that the settings name, even if SQLite's file was replaced since the last request.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, or raise what the check raises; the error page then answers 503."""
        path = request.path_info
        if path not in HEALTH_PATHS and not path.startswith(PUBLISHED):
            freshness().open_current()
            freshness().confirm_rings()
        return self.get_response(request)


class ReadYourWritesMiddleware:
    """Delays the response to a request that may have changed something until this process has applied the change."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on, and wait a moment if its method is not safe."""
        response = self.get_response(request)
        if request.method not in SAFE_METHODS and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            freshness().wait_until_applied()
        return response


def _log_access(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    # The route instead of the path, and no query, so that neither can carry a secret into the log.
    access_log.info(
        "%s %s %d %.1fms from %s",
        request.method if request.method in METHODS else "OTHER",
        request.META[ROUTE],
        response.status_code,
        seconds * 1000,
        request.META["REMOTE_ADDR"] or "-",
    )
