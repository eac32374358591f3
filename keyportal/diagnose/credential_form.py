"""The finding about a credential's form: what it looks like by itself, never whether the portal knows it.

Prefix, length, alphabet and checksum are published (docs/secret-format.md), so that this tells nothing that the
client could not find out without the portal. Nothing of the text is shown, and nothing is looked up.
"""

import re
from typing import Final

from django.conf import settings

from credentials.kinds import ELLIPSIS, Kind, kind_of
from keyportal.diagnose.findings import Finding, Level
from vault.secret_format import (
    ALPHABET,
    CHECKSUM_CHARACTERS,
    ENVIRONMENTS,
    RANDOM_CHARACTERS,
    REFRESH,
    checksum,
)

CREDENTIAL: Final = "Credential"
LENGTH: Final = RANDOM_CHARACTERS + CHECKSUM_CHARACTERS
COPY_AGAIN: Final = "Copy the whole secret again. You can reveal it on your key's page."
NAMES: Final = {"live": "a live key", "test": "a test key", REFRESH: "a refresh token"}
_PLACEHOLDER: Final = re.compile(
    r"[$%<{\[].*|.*[>}\]]|(?:(?:your|my|the|insert|replace|put)[-_ ]?)*(?:api)?[-_ ]?(?:key|token|secret|credential)s?"
    r"(?:[-_ ](?:here|goes|me|value))*|x{3,}|\*{3,}|\.{3,}|null|nil|none|undefined|true|false",
    re.IGNORECASE,
)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_SEGMENTS_OF_TOKEN: Final = 3


def credential_finding(credential: str) -> Finding:
    """Return what the credential of a well-formed Bearer header looks like."""
    if is_placeholder(credential):
        return _bad("placeholder", "A placeholder arrived in the place of the credential.", "Fill the key in.")
    if _is_hint(credential):
        return _bad("hint", "It is the hint of a secret, as lists show it.", COPY_AGAIN)
    kind = kind_of(credential)
    if kind is Kind.ACCESS_TOKEN:
        return _of_token(credential)
    if kind is Kind.PUBLIC_ID:
        return _bad("public_id", "It is the public id of a key or of something else, not a secret.", COPY_AGAIN)
    if kind is not None:
        return _of_secret(credential)
    prefixes = [f"{settings.KEYPORTAL_BRAND}_{name}_" for name in ENVIRONMENTS]
    if credential.lower().startswith(tuple(prefixes)):
        return _bad("case", "It begins like a secret of this portal, but in capitals. Upper and lower case differ.")
    return _bad(
        "foreign",
        "It doesn't look like a credential of this portal.",
        f"The secret of a key begins with {' or '.join(prefixes)}. Did you take the key of another service?",
    )


def is_placeholder(text: str) -> bool:
    """Return whether a text stands for a credential, such as `$KEY`, `<your key>` or `YOUR_API_KEY`."""
    return _PLACEHOLDER.fullmatch(text) is not None


def _is_hint(text: str) -> bool:
    return text.startswith(f"{settings.KEYPORTAL_BRAND}_") and ("..." in text or ELLIPSIS in text)


def _of_token(text: str) -> Finding:
    segments = text.split(".")
    if len(segments) != _SEGMENTS_OF_TOKEN or not all(map(_SEGMENT.fullmatch, segments)):
        return _bad("token_damaged", "It has dots like a signed token, but not three parts.", "Copy it again.")
    return _good("token", "It has the form of a signed token.", "Such tokens live for minutes: take a fresh one.")


def _of_secret(text: str) -> Finding:
    name, _, rest = text[len(settings.KEYPORTAL_BRAND) + 1 :].partition("_")
    if name not in NAMES:
        return _bad("kind", "It begins like a secret of this portal, but names no kind that there is.", COPY_AGAIN)
    looks = f"It begins like {NAMES[name]}"
    if len(rest) != LENGTH:
        return _bad("length", f"{looks}, but is {_off_by(len(rest) - LENGTH)}.")
    if not set(ALPHABET).issuperset(rest):
        return _bad("alphabet", f"{looks}, but contains a character that no secret has.")
    if checksum(text[:-CHECKSUM_CHARACTERS]) != text[-CHECKSUM_CHARACTERS:]:
        return _bad("checksum", f"{looks}, but its checksum is wrong: a character of it was changed.")
    if name == REFRESH:
        return _bad(
            "refresh_token",
            "It has the form of a refresh token.",
            "Exchange it at POST /api/v1/tokens/refresh, and call with the access token that you get.",
        )
    return _good(name, f"It has the form of {NAMES[name]}, and its checksum is right.", "")


def _off_by(difference: int) -> str:
    count = abs(difference)
    return f"{count} character{'' if count == 1 else 's'} too {'short' if difference < 0 else 'long'}"


def _good(form: str, seen: str, advice: str) -> Finding:
    return Finding(CREDENTIAL, f"credential_{form}", Level.GOOD, seen, advice)


def _bad(fault: str, seen: str, advice: str = COPY_AGAIN) -> Finding:
    return Finding(CREDENTIAL, f"credential_{fault}", Level.DANGER, seen, advice)
