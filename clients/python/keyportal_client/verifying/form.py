"""The form of a credential: what was mistyped or truncated is refused without asking the portal.

The published form of a key's secret: docs/secret-format.md of the project.
"""

import re
import zlib
from typing import Final

MAX_LENGTH: Final = 8192
"""Characters of a credential."""
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET: Final = re.compile(r"([a-z][a-z0-9]{0,15}_(?:live|test)_[0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_TOKEN: Final = re.compile(r"[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+")


def is_well_formed(text: str) -> bool:
    """Return whether it can be a credential of a portal: a key's secret, or a token in three parts (RFC 7515 §7.1)."""
    if len(text) > MAX_LENGTH:
        return False
    return _is_secret(text) or is_token(text)


def is_token(text: str) -> bool:
    """Return whether it has the form of a signed token."""
    return _TOKEN.fullmatch(text) is not None


def _is_secret(text: str) -> bool:
    """Return whether prefix, length, alphabet and checksum (CRC-32 in base62) are those of a key's secret."""
    found = _SECRET.fullmatch(text)
    return found is not None and _checksum(found[1]) == found[2]


def _checksum(body: str) -> str:
    left, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        left, digit = divmod(left, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
