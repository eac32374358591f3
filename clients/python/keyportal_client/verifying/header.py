"""The Authorization header of RFC 6750, read as strictly as the portal reads it."""

import re
from typing import Final

from keyportal_client.refusals import Refusal

MAX_HEADER: Final = 8192
"""Characters; a longer header is refused unread."""
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)
_PLAIN: Final = "Bearer "
_ANOTHER: Final = re.compile(r",\s*bearer\b", re.IGNORECASE)


def credential_of(header: str | None) -> str | Refusal:
    """Return the one credential in an Authorization header; several lines are joined by commas.

    A header with another scheme holds none: the refusal is that of a missing one.
    """
    if header is None:
        return Refusal("missing_credential")
    if len(header) > MAX_HEADER:
        return Refusal("malformed_request")
    if header.startswith(_PLAIN):
        text = header[len(_PLAIN) :]
        if text.isascii() and text.isidentifier():  # as a key is; faster than the pattern
            return text
    found = _BEARER.fullmatch(header)
    if found is not None:
        return found[1]
    return Refusal("missing_credential" if _is_other_scheme(header) else "malformed_request")


def _is_other_scheme(header: str) -> bool:
    scheme, _, parameters = header.partition(" ")
    if not scheme.isascii() or not scheme.replace("-", "").isalnum() or scheme.lower() == "bearer":
        return False
    return _ANOTHER.search(parameters) is None
