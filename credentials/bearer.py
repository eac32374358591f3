"""The Authorization header of RFC 6750: exactly one credential, in exactly one way."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from credentials.refusals import refused

MAX_HEADER: Final = 8192  # bytes; longer ones are refused before they are looked at
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)
"""RFC 6750 §2.1 with RFC 9110's rules: any case, one or more spaces, b64token."""


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """Give the credential of a WSGI request; None if it carries none.

    Raises `RefusedError` with `malformed_request` if the header is not well formed, if there are two (the server joins
    them with a comma), or if a second credential stands in the query. Another scheme counts as none (BR-04).
    """
    header: str | None = environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    if len(header) > MAX_HEADER:
        raise refused("malformed_request")
    match = _BEARER.fullmatch(header)
    if match is None:
        if _is_other_scheme(header):
            return None
        raise refused("malformed_request")
    if "access_token" in environ.get("QUERY_STRING", "") and "access_token" in parse_qs(environ["QUERY_STRING"]):
        raise refused("malformed_request")
    return match[1]


def _is_other_scheme(header: str) -> bool:
    """Tell whether this is one well-formed header of another scheme: Basic, Digest, Negotiate and the like."""
    scheme, _, rest = header.partition(" ")
    if not scheme.isascii() or not scheme.replace("-", "").isalnum() or scheme.lower() == "bearer":
        return False
    # Two header lines, joined by the server: "Basic …,Bearer …". One of them is a credential of ours.
    return re.search(r",\s*bearer\b", rest, re.IGNORECASE) is None
