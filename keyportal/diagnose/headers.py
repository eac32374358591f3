"""Findings about headers and the address line, apart from Authorization."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from accounts.leaks import holds_secret
from keyportal.diagnose.findings import Finding, Level
from keyportal.http_server.arrival import Arrival

ELSEWHERE: Final = (
    "x-api-key",
    "api-key",
    "apikey",
    "x-apikey",
    "x-auth-token",
    "x-access-token",
    "proxy-authorization",
)
"""Headers in which clients of other services send a credential."""
HYPHENATED: Final = ("x-forwarded-for", "x-forwarded-proto", "x-request-id", "content-type", "user-agent")
"""Headers of which another spelling is a usual mistake: `X_Forwarded_For`."""
_OTHER_CHARACTERS: Final = re.compile(r"[^a-z0-9]")
_IN_QUERY: Final = re.compile(r"(?:^|&)(?:access_token|api_?key|token|key|secret)=", re.IGNORECASE)


def header_findings(arrival: Arrival, query: str) -> Iterator[Finding]:
    """Yield what is worth saying about other headers, and about a credential in the address."""
    for name in HYPHENATED:
        if _has_other_spelling(arrival, name):
            yield _spelling(name.title())
    if arrival.has(*ELSEWHERE):
        yield Finding(
            "Other headers",
            "credential_elsewhere",
            Level.WARNING,
            "A header arrived in which other services expect a key, such as X-API-Key. The portal doesn't read it.",
            "Send the key in “Authorization: Bearer <key>”.",
        )
    if _IN_QUERY.search(query) or holds_secret(unquote_plus(query)):
        yield Finding(
            "Address",
            "credential_in_address",
            Level.DANGER,
            "The query of the address seems to hold a credential. The portal doesn't accept it there.",
            "Send it in “Authorization: Bearer <key>”. If it was a real one, replace it: addresses are logged on the "
            "way.",
        )
    yield _cookies(arrival)


def _has_other_spelling(arrival: Arrival, name: str) -> bool:
    return any(sent != name and _OTHER_CHARACTERS.sub("-", sent) == name for sent in arrival.lines)


def _spelling(name: str) -> Finding:
    return Finding(
        "Header names",
        "other_spelling",
        Level.WARNING,
        f"A header arrived that looks like {name} in another spelling. It was dropped.",
        f"Write {name}. Names with anything but letters, digits and hyphens could pass for other headers.",
    )


def _cookies(arrival: Arrival) -> Finding:
    code, seen = ("cookies", "Some arrived.") if arrival.has("cookie") else ("no_cookies", "None arrived.")
    return Finding("Cookies", code, Level.INFO, f"{seen} Only pages use cookies; the API ignores them.")
