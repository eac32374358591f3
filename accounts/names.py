"""Validate texts that one person enters and others read: names, reasons, descriptions, program names.

The same rule applies to all of them. Invisible characters and those that change the text's direction are refused;
emoji, accents, all scripts and the joiners inside their words are allowed (`accounts.characters`). Secrets are refused
too, because others read the text.
"""

import re
import unicodedata
from typing import Final

from django.core.exceptions import ValidationError

from accounts.characters import BLANK, JOINERS, Fault, fault_at, is_invisible, is_mark, visible_length
from accounts.leaks import holds_secret, with_hints

MARKS_IN_A_ROW: Final = 8
"""Marks allowed on one letter. Myanmar and Tibetan use up to seven."""
ACCENTS_IN_A_ROW: Final = 4
"""Marks allowed on one letter if they are combining accents. Vietnamese and phonetic script use up to three."""
_FAULTS: Final = {
    Fault.CONTROL: "{what} can't contain line breaks or control characters; character {at} is one. "
    "Type it on one line.",
    Fault.DIRECTION: "{what} can't contain characters that change the direction of text; character {at} is one. "
    "Type it instead of pasting it.",
    Fault.INVISIBLE: "{what} can't contain invisible characters; character {at} is one. Type it instead of pasting it.",
    Fault.MEANINGLESS: "{what} can't contain private or unassigned characters; character {at} is one. Use another.",
}
_BLANKS: Final = re.compile(rf"[{BLANK}\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")

_LINKING: Final = re.compile(r"[.\u3002\uff0e\uff61](?=[^\W\d])|://|@")
"""What mail programs recognise an address by."""


def clean_text(text: str, *, what: str = "A name", max_length: int, needed: bool = True) -> str:
    """Return the text as it is stored: in NFC, each run of blanks as one space, no invisible characters at its ends.

    `max_length` limits both visible characters and code points, of which an emoji may have ten. An empty text is
    refused if it is `needed`. Raises `ValidationError`, whose message says what is wrong and where, and quotes nothing.
    """
    if len(text) > 4 * max_length:  # normalization of very long texts is slow
        raise ValidationError(f"{what} can have up to {max_length} characters.", code="too_long")
    text = _trim(_BLANKS.sub(" ", unicodedata.normalize("NFC", text)))
    if not text and not needed:
        return ""
    _refuse_faults(text, what)
    if all(is_mark(character) or is_invisible(character) for character in text):
        raise ValidationError(f"{what} needs at least one visible character.", code="required")
    _refuse_piles(text, what)
    _refuse_length(text, what, max_length)
    if holds_secret(text):
        raise ValidationError(f"{what} is visible to others. This one contains a secret; leave it out.", code="secret")
    return text


def without_links(text: str) -> str:
    """Return a text as a message to the owner may quote it: without what mail programs recognise an address by.

    Whoever logs in, or has a key that manages keys, chooses such texts, and must not send the owner on.
    """
    return " ".join(_LINKING.sub(" ", text).split())


def printable(text: str) -> str:
    """Return the displayable part of a text that was never validated, such as a program's name or an old row.

    Characters that `clean_text` refuses are left out, and a secret is replaced by its hint.
    """
    text = _BLANKS.sub(" ", unicodedata.normalize("NFC", text[:2000]))
    shown = "".join(character for place, character in enumerate(text) if fault_at(text, place) is None)
    while (end := _end_of_pile(shown)) is not None:
        shown = shown[:end] + shown[end + 1 :]
    return with_hints(shown.strip())


def _trim(text: str) -> str:
    """Return the text without blanks and invisible characters at its ends, except parts of a word or an emoji."""
    while text and (text[0].isspace() or fault_at(text, 0) is Fault.INVISIBLE):
        text = text[1:]
    while text and (text[-1].isspace() or fault_at(text, len(text) - 1) is Fault.INVISIBLE):
        text = text[:-1]
    return text


def _refuse_faults(text: str, what: str) -> None:
    for place in range(len(text)):
        fault = fault_at(text, place)
        if fault is not None:
            raise ValidationError(_FAULTS[fault].format(what=what, at=place + 1), code=str(fault))


def _refuse_piles(text: str, what: str) -> None:
    if is_mark(text[0]):
        raise ValidationError(f"{what} can't begin with an accent that has no letter.", code="marks")
    end = _end_of_pile(text)
    if end is not None:
        raise ValidationError(f"{what} has too many accents on one letter, at character {end + 1}.", code="marks")


def _end_of_pile(text: str) -> int | None:
    """Return the place of the first mark that is one too many for its letter; None if there is none."""
    marks = accents = 0
    for place, character in enumerate(text):
        if is_mark(character):
            marks += 1
            accents += unicodedata.name(character, "").startswith("COMBINING ")
        elif character not in JOINERS:
            marks = accents = 0
        if marks > MARKS_IN_A_ROW or accents > ACCENTS_IN_A_ROW:
            return place
    return None


def _refuse_length(text: str, what: str, max_length: int) -> None:
    if visible_length(text) > max_length:
        raise ValidationError(f"{what} can have up to {max_length} characters.", code="too_long")
    if len(text) > max_length:
        raise ValidationError(
            f"{what} can have up to {max_length} characters; emoji and accents count as several. Shorten it.",
            code="too_many_code_points",
        )
