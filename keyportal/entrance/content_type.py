"""A Content-Type on which Django would break before any middleware is refused."""

import re
from http import HTTPStatus
from typing import Final

from keyportal.entrance.request import Request, UnreadableError

_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([^\s;\"',]*)", re.IGNORECASE)
READABLE: Final = ("utf-8", "utf8", "us-ascii")


def require_readable(request: Request) -> None:
    """Raise `UnreadableError` where the Content-Type names a character set other than UTF-8.

    Django decodes the query with it, whatever it is: `zlib` and `rot13` are codecs to Python. A parameter written
    `name*=` (RFC 2231), which nobody needs there, breaks it even earlier.
    """
    for content_type in request.lines(b"content-type"):
        if not is_readable(content_type):
            raise UnreadableError(HTTPStatus.BAD_REQUEST, "The Content-Type header names a charset other than UTF-8.")


def is_readable(content_type: str) -> bool:
    """Return whether Django can read what is sent under this Content-Type."""
    return "*" not in content_type and all(charset.lower() in READABLE for charset in _CHARSET.findall(content_type))
