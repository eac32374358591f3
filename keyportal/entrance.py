"""What no request gets past: a Content-Type on which Django would break before any middleware."""

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from credentials.client_address import request_id_of
from keyportal.policies import MACHINE_POLICY
from keyportal.problems import Problem

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([^\s;\"',]*)", re.IGNORECASE)
EVERY: Final = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", MACHINE_POLICY))
READABLE: Final = ("utf-8", "utf8", "us-ascii")


def with_readable_content_type(application: Application) -> Application:
    """Give an application that answers 400 where the Content-Type names a character set other than UTF-8.

    Django decodes the query with it, whatever it is: `zlib` and `rot13` are codecs to Python. A parameter written
    `name*=` (RFC 2231), which nobody needs there, breaks it even earlier.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        content_type: str = environ.get("CONTENT_TYPE", "")
        if not content_type or is_readable(content_type):
            return application(environ, start_response)
        response = Problem("bad_request").answer(environ["PATH_INFO"])
        response.headers["X-Request-ID"] = request_id_of(environ)
        response.headers["Content-Length"] = str(len(response.content))
        headers = [*response.items(), *EVERY]
        start_response(f"400 {HTTPStatus.BAD_REQUEST.phrase}", headers)
        return [response.content]

    return answer


def is_readable(content_type: str) -> bool:
    """Tell whether Django can read what is sent under this Content-Type."""
    return "*" not in content_type and all(charset.lower() in READABLE for charset in _CHARSET.findall(content_type))
