"""The text of a secret: `kp_live_` + 43 base62 characters + 6 characters of checksum (`kp_refresh_` likewise).

Only `[0-9A-Za-z_]`, so that a double click selects all of it, and a checksum, so that a mistyped or truncated one is
refused without asking the database and a secret scanner can tell a find from a look-alike. The published expression
and test vectors are in docs/secret-format.md.
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
    """Give that many base62 characters from the operating system's generator, each equally likely."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_id(kind: str) -> str:
    """Give a fresh public id such as `key_7Gk…`: 22 base62 characters behind the kind."""
    return f"{kind}_{random_text(ID_CHARACTERS)}"


def id_pattern(kind: str) -> str:
    """Return the regular expression of the ids that `new_id` makes for this kind; there never were others."""
    return f"{kind}_[{ALPHABET}]{{{ID_CHARACTERS}}}"


def new_secret(brand: str, kind: str) -> str:
    """Make a secret: 256 random bits behind the brand and its kind (`live`, `test`, `refresh`), with its checksum."""
    body = f"{brand}_{kind}_{random_text(RANDOM_CHARACTERS)}"
    return body + checksum(body)


def checksum(body: str) -> str:
    """Give the CRC-32 (ISO-HDLC, as in zlib) of the text before it, as 6 base62 characters, left-padded with 0."""
    remaining = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        remaining, digit = divmod(remaining, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_well_formed(brand: str, secret: str, kinds: Sequence[str] = ENVIRONMENTS) -> bool:
    """Tell whether this text could be such a secret of this brand: prefix, length, alphabet, checksum. Asks nobody."""
    for kind in kinds:
        prefix = f"{brand}_{kind}_"
        if secret.startswith(prefix):
            break
    else:
        return False
    if len(secret) != len(prefix) + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS:
        return False
    # isalnum() alone would let other scripts' digits through.
    if not (secret.isascii() and secret[len(prefix) :].isalnum()):
        return False
    return checksum(secret[:-CHECKSUM_CHARACTERS]) == secret[-CHECKSUM_CHARACTERS:]


def hint(secret: str) -> str:
    """Give what may be shown of a secret: its prefix and last four characters, `kp_live_…3f8a`."""
    prefix = secret[: -(RANDOM_CHARACTERS + CHECKSUM_CHARACTERS)]
    return f"{prefix}…{secret[-HINT_CHARACTERS:]}"
