"""Find the credential in a pasted text, whatever was copied along with it.

Quotes, `Bearer `, whole header and curl lines, JSON, percent-encoding, the pair of HTTP Basic, line breaks of an
e-mail, invisible characters. What is found is never shown, logged or stored.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from django.conf import settings

from accounts.characters import BLANK, is_invisible
from accounts.leaks import KINDS, secrets_in
from credentials.kinds import ELLIPSIS, Kind, kind_of
from vault.secret_format import CHECKSUM_CHARACTERS, HINT_CHARACTERS, RANDOM_CHARACTERS

MAX_LENGTH: Final = 16_384  # characters; two of the longest credentials, with the request around them
_TOKEN: Final = re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PART_OF_TOKEN: Final = re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){0,2}")
_BASIC: Final = re.compile(r"\bbasic +([A-Za-z0-9+/_-]+=*)", re.IGNORECASE)
_PUBLIC_ID: Final = re.compile(r"(?<![0-9A-Za-z_])(?:key|sec|usr|fam|ref|tok)_[0-9A-Za-z]{10,}")
_END_OF_SECRET: Final = re.compile(rf"[0-9A-Za-z]{{{HINT_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class PastedText:
    """One piece of text that looks like something this portal issues."""

    kind: Kind
    text: str = field(repr=False)
    whole: bool = True
    """False for damaged text that begins like a credential: mistyped, cut off, or in the wrong case."""

    @property
    def is_credential(self) -> bool:
        """Whether it grants access, or would if it were whole."""
        return self.kind in (Kind.API_KEY, Kind.ACCESS_TOKEN, Kind.REFRESH_TOKEN)


def find_pasted(text: str) -> list[PastedText]:
    """Return the pieces of a text that look like the portal's own, without duplicates, the most telling first.

    Whole credentials come first: in a curl line with a key's id and its secret, the secret is what counts. No queries.
    """
    plain = _plain(text[:MAX_LENGTH])
    spellings = [plain, unquote(plain)] if "%" in plain else [plain]
    spellings += [pair for spelling in tuple(spellings) for pair in _basic_pairs(spelling)]
    found = [pasted for spelling in spellings for pasted in _whole_credentials(spelling)]
    if not found:
        # An e-mail program or terminal may have wrapped the line: join it, and accept only whole credentials.
        found = list(_whole_credentials("".join(plain.split())))
    telling = [pasted for spelling in spellings for pasted in _hints_and_fragments(spelling)]
    found += sorted(telling, key=lambda pasted: not pasted.whole)
    if not found and _END_OF_SECRET.fullmatch(plain.strip()):
        found = [PastedText(Kind.HINT, plain.strip())]
    return list(dict.fromkeys(found))


def _plain(text: str) -> str:
    """Return the text with plain spaces, without invisible characters, and with “...” as the ellipsis of a hint."""
    seen = (" " if character.isspace() or character == BLANK else character for character in text)
    return "".join(character for character in seen if not is_invisible(character)).replace("...", ELLIPSIS)


def _basic_pairs(text: str) -> Iterator[str]:
    """Yield the decoded pair of each `Basic …` (RFC 7617), with OAuth's percent-encoding undone (RFC 6749 §2.3.1)."""
    for found in _BASIC.finditer(text):
        padded = found[1].rstrip("=") + "=" * (-len(found[1].rstrip("=")) % 4)
        try:
            yield unquote(base64.b64decode(padded, altchars=b"-_" if re.search("[-_]", padded) else None).decode())
        except (binascii.Error, ValueError):
            continue


def _whole_credentials(text: str) -> Iterator[PastedText]:
    """Yield whole credentials: secrets with a correct checksum, and text in the form of a signed token."""
    for secret in secrets_in(text):
        kind = kind_of(secret)
        if kind is not None:
            yield PastedText(kind, secret)
    for found in _TOKEN.finditer(text):
        yield PastedText(Kind.ACCESS_TOKEN, found[0])


def _hints_and_fragments(text: str) -> Iterator[PastedText]:
    """Yield what names or resembles a credential: hints, public ids, fragments of secrets and tokens."""
    for found in re.finditer(_hint_pattern(), text):
        yield PastedText(Kind.HINT, found[0])
    for found in _PUBLIC_ID.finditer(text):
        yield PastedText(Kind.PUBLIC_ID, found[0], whole=kind_of(found[0]) is Kind.PUBLIC_ID)
    whole = set(secrets_in(text))
    for found in re.finditer(rf"(?<![0-9A-Za-z_]){settings.KEYPORTAL_BRAND}_\w*", text, re.IGNORECASE | re.ASCII):
        is_hint = text[found.end() : found.end() + 1] == ELLIPSIS
        if not is_hint and not any(secret in found[0] for secret in whole):
            yield PastedText(kind_of(found[0].lower()) or Kind.API_KEY, found[0], whole=False)
    for found in _PART_OF_TOKEN.finditer(text):
        if not _TOKEN.match(text, found.start()):
            yield PastedText(Kind.ACCESS_TOKEN, found[0], whole=False)


def _hint_pattern() -> str:
    return rf"{settings.KEYPORTAL_BRAND}_(?:{'|'.join(KINDS)})_{ELLIPSIS}[0-9A-Za-z]{{{HINT_CHARACTERS}}}"


def length_of_secret(text: str) -> tuple[int, int]:
    """Return how many characters follow the prefix of a damaged secret, and how many should."""
    return len(text.rpartition("_")[2]), RANDOM_CHARACTERS + CHECKSUM_CHARACTERS
