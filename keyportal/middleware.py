"""What every request goes through first and every answer last."""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from credentials.client_address import new_request_id
from credentials.freshness import freshness
from credentials.quota import Quota
from keyportal.entrance.environ import PEER, REFUSAL, REQUEST_ID
from keyportal.entrance.request import UnreadableError
from keyportal.errors import error_response, with_words
from keyportal.logs import request_id, route
from keyportal.pages import is_for_machines
from keyportal.policies import MACHINE_POLICY

GetResponse = Callable[[HttpRequest], HttpResponse]

access_log = logging.getLogger("keyportal.access")
PAGE_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
HEALTH_PATHS = ("/healthz", "/readyz", "/metrics")
PUBLISHED = "/.well-known/"
"""What the settings alone say. Offline verifiers live by it, also while the database is away."""


class RequestContextMiddleware:
    """Names the request and its sender as the entrance found them to be. Writes the access line.

    `META["REMOTE_ADDR"]` is the client and `request.scheme` its scheme (`keyportal.entrance.request`).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request under its id."""
        started = time.perf_counter()
        # Without the entrance (Django's test client, its development server) the peer is the client.
        named = request.META.get(REQUEST_ID) or new_request_id()
        request.request_id = named  # type: ignore[attr-defined]  # accounts.origin.PortalRequest
        request.peer_address = request.META.get(PEER, request.META["REMOTE_ADDR"])  # type: ignore[attr-defined]  # there
        token = request_id.set(named)
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = request_id.get()
            _log_access(request, response, time.perf_counter() - started)
        finally:
            request_id.reset(token)
        return response


class ResponseHeadersMiddleware:
    """Keeps every answer out of caches unless the view says otherwise (ASVS 14.3.2), and nonsense out of every view."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add `Cache-Control: no-store` where no view has set the header; refuse what no view should ever see."""
        response = self._refusal(request) or self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        quota: Quota | None = getattr(request, "quota", None)
        if quota is not None:
            for name, value in quota.headers().items():
                response.headers[name] = value
        if is_for_machines(request):
            response.headers["Content-Security-Policy"] = MACHINE_POLICY
            response.headers["X-Frame-Options"] = "DENY"
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        """Return what the entrance could only note; None for a request that may go on. Raises `BadRequest`."""
        refused: UnreadableError | None = request.META.get(REFUSAL)
        if refused is not None:
            return error_response(request, refused.status, detail=refused.detail)
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            # Nobody means a NUL, and PostgreSQL can't be asked about one.
            raise BadRequest("a NUL in the address")
        return None

    def process_view(self, request: HttpRequest, *view: object) -> HttpResponse | None:
        """Refuse methods that no page knows, before a form's token is missed or a library's view takes PUT for POST."""
        if request.method in PAGE_METHODS or is_for_machines(request):
            return None
        return error_response(request, 405, {"Allow": ", ".join(PAGE_METHODS[:3])})


class ErrorPagesMiddleware:
    """Gives words to an error that has none: a decorator's 405, a library's 404."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the page of the status, or with its problem; headers such as Allow stay."""
        response = self.get_response(request)
        if response.status_code < HTTPStatus.BAD_REQUEST or response.streaming or response.content:
            return response
        return with_words(request, response)


class RingsMiddleware:
    """Answers nothing until the key rings are known to fit the database: wrong ones would refuse every good key.

    It is the database that the settings name, also where SQLite's file has been replaced since the last request.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass on, or raise what the check raised: the error page answers 503."""
        path = request.path_info
        if path not in HEALTH_PATHS and not path.startswith(PUBLISHED):
            freshness.follow()
            freshness.confirm_rings()
        return self.get_response(request)


class SettledMiddleware:
    """Answers a request that may have changed something only when this process has heard of the change."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass on, and wait a moment after a method that is not safe."""
        response = self.get_response(request)
        if request.method not in SAFE_METHODS and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            freshness.settle()
        return response


def _log_access(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    # The route instead of the path, and no query: neither can then carry a secret into the log.
    access_log.info(
        "%s %s %d %.1fms from %s",
        request.method if request.method in METHODS else "OTHER",
        route(request),
        response.status_code,
        seconds * 1000,
        request.META["REMOTE_ADDR"] or "-",
    )
