"""Findings about the Authorization header. They agree with `credentials.bearer`, which the API reads it by."""

import re
from collections.abc import Iterator
from typing import Final

from credentials.bearer import MAX_HEADER, token_of
from credentials.kinds import kind_of
from credentials.refusals import RefusedError
from keyportal.diagnose.credential_form import credential_finding, is_placeholder
from keyportal.diagnose.findings import Finding, Level

AUTHORIZATION: Final = "Authorization"
WANTED: Final = "Send one header “Authorization: Bearer <key>”: the word Bearer, a space, and nothing but the key."
SCHEMES: Final = {"basic": "Basic", "digest": "Digest", "negotiate": "Negotiate", "token": "Token", "apikey": "ApiKey"}
"""Other schemes that are named; any other may be part of a secret."""
QUOTES: Final = "\"'`“”‘’«»"
_BEARER: Final = re.compile(r"bearer\b", re.IGNORECASE)
_PUNCTUATION: Final = re.compile(r"\s*[:=,;]|\t")


def authorization_findings(header: str | None, lines: int) -> Iterator[Finding]:
    """Yield what there is to say about the header, which arrived in this many lines, and about its credential."""
    if header is None:
        yield Finding(
            AUTHORIZATION,
            "authorization_missing",
            Level.WARNING,
            "No Authorization header arrived.",
            f"{WANTED} If you did, something on the way took it out: HTTP clients drop it when they follow a redirect "
            "to another host, and some proxies and frameworks don't pass it on.",
        )
    elif lines > 1:
        yield _malformed("several", "More than one Authorization header arrived.", "A proxy may add one of its own.")
    else:
        yield from _findings_of_one(header)


def _findings_of_one(header: str) -> Iterator[Finding]:
    try:
        token = token_of(header)
    except RefusedError:
        # Django decodes headers as Latin-1; typographic quotes arrive in UTF-8.
        yield _fault_of(header.encode("latin-1", "replace").decode("utf-8", "replace"))
        return
    if token is None:
        yield _other_scheme(header.partition(" ")[0].lower())
        return
    yield Finding(AUTHORIZATION, "authorization_bearer", Level.GOOD, "One well-formed Bearer header arrived.")
    yield credential_finding(token)


def _other_scheme(scheme: str) -> Finding:
    name = SCHEMES.get(scheme)
    return Finding(
        AUTHORIZATION,
        "authorization_other_scheme",
        Level.WARNING,
        f"The header arrived, but with the scheme {name}." if name else "The header arrived, but with another scheme.",
        f"{WANTED} Basic is for a password at POST /api/v1/tokens, and for client credentials at /oauth/token.",
    )


def _fault_of(header: str) -> Finding:
    """Return what is wrong with a header that is not well formed, the likeliest cause first."""
    if len(header) > MAX_HEADER:
        return _malformed("too_long", f"The header is longer than {MAX_HEADER // 1024} KiB.")
    if not header:
        return _malformed("empty", "The header is empty.", "Is the variable that holds it set?")
    bearer = _BEARER.match(header)
    if bearer is None:
        return _fault_without_bearer(header)
    rest = header[bearer.end() :]
    if not rest.strip():
        return _malformed("empty", "Nothing follows the word Bearer.", "Is the variable that holds the key set?")
    if _PUNCTUATION.match(rest):
        return _malformed("punctuation", "The word Bearer is followed by something else than a space.")
    return _fault_of_credential(rest.strip())


def _fault_without_bearer(header: str) -> Finding:
    if kind_of(header.strip(QUOTES)) is not None:
        return _malformed("no_scheme", "The credential arrived without the word Bearer before it.")
    if header[:1] in QUOTES:
        return _malformed("quotes", "There are quotes around the value of the header.", "Leave them out.")
    return _malformed("other", "The header begins with no scheme that is known.")


def _fault_of_credential(credential: str) -> Finding:
    if is_placeholder(credential.strip(QUOTES)):
        return _malformed("placeholder", "A placeholder arrived in the place of the credential.", "Fill the key in.")
    if credential[0] in QUOTES or credential[-1] in QUOTES:
        return _malformed("quotes", "There are quotes around the credential.", "Leave them out.")
    if _BEARER.match(credential):
        return _malformed("twice", "The word Bearer is there twice.", "Your library may add it by itself.")
    if re.search(r"\s", credential):
        return _malformed("spaces", "There are spaces in the credential, or something after it.")
    return _malformed("characters", "The credential contains a character that none has.", "Copy it again, as a whole.")


def _malformed(fault: str, seen: str, advice: str = "") -> Finding:
    return Finding(AUTHORIZATION, f"authorization_{fault}", Level.DANGER, seen, f"{advice} {WANTED}".strip())
