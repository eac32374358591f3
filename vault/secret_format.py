"""The format of a secret: `kp_live_` + 43 base62 characters + 6 checksum characters; `kp_refresh_` likewise.

A secret contains only `[0-9A-Za-z_]`, so that a double click selects all of it. The checksum lets the portal refuse a
mistyped or truncated secret without a query, and a secret scanner discard look-alikes. The published regular
expression and test vectors are in docs/secret-format.md.
"""

import secrets
import string
import zlib
from collections.abc import Sequence
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
ENVIRONMENTS: Final = ("live", "test")
REFRESH: Final = "refresh"
RANDOM_CHARACTERS: Final = 43  # 43 * log2(62) = 256 bits
CHECKSUM_CHARACTERS: Final = 6  # 62**6 > 2**32
ID_CHARACTERS: Final = 22  # 131 bits
HINT_CHARACTERS: Final = 4


def random_text(length: int) -> str:
    """Return this many base62 characters from the operating system's random generator, each equally likely."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_id(kind: str) -> str:
    """Return a fresh public id such as `key_7Gk…`: the kind, an underscore and 22 base62 characters."""
    return f"{kind}_{random_text(ID_CHARACTERS)}"


def id_pattern(kind: str) -> str:
    """Return the regular expression for ids of this kind, as `new_id` makes them; no other form was ever issued."""
    return f"{kind}_[{ALPHABET}]{{{ID_CHARACTERS}}}"


def new_secret(brand: str, kind: str) -> str:
    """Return a fresh secret: brand, kind (`live`, `test` or `refresh`), 256 random bits and the checksum."""
    body = f"{brand}_{kind}_{random_text(RANDOM_CHARACTERS)}"
    return body + checksum(body)


def checksum(body: str) -> str:
    """Return the CRC-32 (ISO-HDLC, as in zlib) of the text as 6 base62 characters, left-padded with 0."""
    remaining = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        remaining, digit = divmod(remaining, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_well_formed(brand: str, secret: str, kinds: Sequence[str] = ENVIRONMENTS) -> bool:
    """Return whether prefix, length, alphabet and checksum are those of a secret of this brand. Needs no query."""
    for kind in kinds:
        prefix = f"{brand}_{kind}_"
        if secret.startswith(prefix):
            break
    else:
        return False
    if len(secret) != len(prefix) + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS:
        return False
    # isalnum() alone would accept letters and digits of other scripts.
    if not (secret.isascii() and secret[len(prefix) :].isalnum()):
        return False
    return checksum(secret[:-CHECKSUM_CHARACTERS]) == secret[-CHECKSUM_CHARACTERS:]


def hint(secret: str) -> str:
    """Return the part of a secret that may be shown, its prefix and last four characters: `kp_live_…3f8a`."""
    prefix = secret[: -(RANDOM_CHARACTERS + CHECKSUM_CHARACTERS)]
    return f"{prefix}…{secret[-HINT_CHARACTERS:]}"
