"""What every request goes through first and every answer last."""

import logging
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from credentials.client_address import client_address, is_trusted_proxy, parse_address, request_id_of
from credentials.freshness import freshness
from credentials.quota import Quota
from keyportal.errors import error_response, with_words
from keyportal.logs import request_id, route
from keyportal.pages import is_for_machines
from keyportal.policies import MACHINE_POLICY

GetResponse = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)
access_log = logging.getLogger("keyportal.access")
FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED",
)
PAGE_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
HEALTH_PATHS = ("/healthz", "/readyz", "/metrics")


class RequestContextMiddleware:
    """Settles who is asking: client address, scheme and request id. Writes the access line.

    Everything behind it reads plain `META["REMOTE_ADDR"]` and `request.scheme`; forwarded headers are gone by then.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request under its id."""
        started = time.perf_counter()
        _settle_origin(request)
        token = request_id.set(request.request_id)  # type: ignore[attr-defined]  # set a line above
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
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            # Nobody means a NUL, and PostgreSQL can't be asked about one.
            raise BadRequest("a NUL in the address")
        if _length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            # Django counts the fields of a form, and not its files: the portal takes none.
            raise RequestDataTooBig
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # WSGI would show the view an empty body, and a write would silently write nothing.
            return error_response(request, 411)
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        quota: Quota | None = getattr(request, "quota", None)
        if quota is not None:
            for name, value in quota.headers().items():
                response.headers[name] = value
        if is_for_machines(request):
            response.headers["Content-Security-Policy"] = MACHINE_POLICY
            response.headers["X-Frame-Options"] = "DENY"
        return response

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
        if request.path_info not in HEALTH_PATHS:
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


def _length(request: HttpRequest) -> int:
    length: str = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isascii() and length.isdigit() else 0


def _settle_origin(request: HttpRequest) -> None:
    meta = request.META
    peer = parse_address(meta.get("REMOTE_ADDR", ""))
    client = client_address(meta)
    request.request_id = request_id_of(meta)  # type: ignore[attr-defined]  # accounts.origin.PortalRequest
    if is_trusted_proxy(peer):
        if meta.get("HTTP_X_FORWARDED_PROTO") in ("http", "https"):
            meta["wsgi.url_scheme"] = meta["HTTP_X_FORWARDED_PROTO"]
    elif peer is None:
        _warn_of_the_socket()
    for header in FORWARDED:
        meta.pop(header, None)
    meta["REMOTE_ADDR"] = str(client) if client else ""
    request.peer_address = str(peer) if peer else ""  # type: ignore[attr-defined]  # accounts.origin.PortalRequest


@cache
def _warn_of_the_socket() -> None:
    """Tell once a process what the checks can't know: `--uds` stands on Granian's command line."""
    logger.warning(
        "requests come over a Unix socket, and KEYPORTAL_TRUSTED_PROXIES does not name `unix`: forwarded headers are "
        "not believed, and all clients count as one, so that one guesser uses up the log-ins of all"
    )


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
