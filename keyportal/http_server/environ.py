"""The WSGI environ (PEP 3333) that Django reads, in which no name can stand for two headers."""

from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final

from django.conf import settings

from keyportal.http_server.arrival import ARRIVAL, arrival_of
from keyportal.http_server.content_type import readable
from keyportal.http_server.request import Request, Sender, UnreadableError

PEER: Final = "keyportal.peer_address"
REQUEST_ID: Final = "keyportal.request_id"
ROUTE: Final = "keyportal.route"
"""The pattern of the route that answered, noted by `keyportal.http.middleware` for the caller of Django."""
REFUSAL: Final = "keyportal.refusal"
"""The `UnreadableError` with which `keyportal.http.middleware` refuses the request."""

INTERPRETED: Final = frozenset(
    {
        b"content-length",
        b"forwarded",
        b"transfer-encoding",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-request-id",
    }
)
"""Headers that the server has already interpreted. Django must not interpret them again, differently."""
SINGLE_HEADERS: Final = frozenset({b"host", b"content-type"})
"""Headers that make no sense twice."""
MAX_NAME: Final = 128
"""Bytes; every header that Django reads has a shorter name."""
UNPREFIXED: Final = ("CONTENT_TYPE",)
_ALLOWED: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")


def environ_of(request: Request, sender: Sender) -> dict[str, Any]:
    """Return the environ of a request. Raises `UnreadableError` for a repeated header or a missing Host."""
    environ = _without_headers(request, sender)
    for name, value in request.headers:
        key = _key_of(name) if len(name) <= MAX_NAME else None
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ:
            if name in SINGLE_HEADERS:
                raise UnreadableError(HTTPStatus.BAD_REQUEST, f"Send the header {name.decode().title()} only once.")
            text = environ[key] + ("; " if name == b"cookie" else ",") + text
        environ[key] = text
    if "HTTP_HOST" not in environ and request.version != "1.0":
        raise UnreadableError(HTTPStatus.BAD_REQUEST, "Send a Host header (RFC 9112 §3.2).")
    if request.path.startswith(settings.KEYPORTAL_MACHINE_PATHS):
        # Machines may use any host, and some append a slash.
        environ["HTTP_HOST"], path = settings.KEYPORTAL_HOST, request.path.removesuffix("/")
        environ["PATH_INFO"] = path if path.startswith(settings.KEYPORTAL_MACHINE_PATHS) else request.path
    if request.path in settings.KEYPORTAL_DIAGNOSE_PATHS:
        # A host under which pages are refused is one of the faults that are diagnosed.
        environ[ARRIVAL], environ["HTTP_HOST"] = arrival_of(request), settings.KEYPORTAL_HOST
    body = bytes(request.body)
    if "CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"], body = readable(environ["CONTENT_TYPE"], body)
    return {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def environ_of_refused(request: Request, sender: Sender, why: UnreadableError) -> dict[str, Any]:
    """Return the environ of an unreadable request, with only its target, so that Django can render the refusal."""
    return {
        **_without_headers(request, sender),
        "wsgi.input": BytesIO(),
        "HTTP_HOST": settings.KEYPORTAL_HOST,
        REFUSAL: why,
    }


def _without_headers(request: Request, sender: Sender) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": settings.KEYPORTAL_HOST.partition(":")[0],
        "SERVER_PORT": "443" if sender.scheme == "https" else "80",
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": str(sender.address) if sender.address else "",
        PEER: str(sender.peer) if sender.peer else "",
        REQUEST_ID: sender.request_id,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": sender.scheme,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


@lru_cache(maxsize=1024)
def _key_of(name: bytes) -> str | None:
    """Return the environ key of a header, or None if it is left out.

    A name with characters other than letters, digits and hyphens is left out, because as an environ key it could pass
    for another.
    """
    if name in INTERPRETED or not _ALLOWED.issuperset(name):
        return None
    key = name.decode().replace("-", "_").upper()
    return key if key in UNPREFIXED else f"HTTP_{key}"
