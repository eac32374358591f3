"""The least that a WSGI server can do for a credential: one digest, no verdict. Forward-auth is measured against it."""

import hmac
from collections.abc import Callable, Iterable
from typing import Any

HEADERS = [("Content-Length", "0")]


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Compute the digest of the header, and answer 200."""
    hmac.digest(b"k" * 32, environ.get("HTTP_AUTHORIZATION", "").encode(), "sha256")
    start_response("200 OK", HEADERS)
    return ()
