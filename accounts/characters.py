"""Find the characters of a text that are invisible or change the direction of the text around them.

An invisible character may still belong to a word or an emoji: Persian and the scripts of India join and separate
letters with U+200C and U+200D, emoji are joined with U+200D and varied by U+FE0F, and flags of regions are spelled with
tags. So `fault_at` looks at the neighbours of each character (Unicode UTS #39, UTS #51, RFC 5892 Appendix A).
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final

JOINERS: Final = "\u200c\u200d"
ZWJ: Final = "\u200d"
SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
REGIONAL: Final = range(0x1F1E6, 0x1F200)
TAGS: Final = range(0xE0020, 0xE0080)
KEYCAP: Final = "\u20e3"
DIRECTION: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional controls: marks, embeddings, overrides, isolates."""
VISIBLE_FORMATS: Final = frozenset(
    map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD))
)
"""Format characters that are visible: number signs of Arabic, Syriac and Kaithi."""
BLANK: Final = "\u2800"
"""The empty Braille pattern, which Unicode counts as a symbol but people see as a blank."""

_IGNORABLE: Final = (
    *(range(0xAD, 0xAE), range(0x34F, 0x350), range(0x115F, 0x1161), range(0x17B4, 0x17B6), range(0x180B, 0x1810)),
    *(range(0x200B, 0x2010), range(0x2060, 0x2070), range(0x3164, 0x3165), range(0xFE00, 0xFE10)),
    *(range(0xFEFF, 0xFF00), range(0xFFA0, 0xFFA1), range(0xFFF0, 0xFFFD), range(0x16FE4, 0x16FE5)),
    *(range(0x1BCA0, 0x1BCA4), range(0x1D159, 0x1D15A), range(0x1D173, 0x1D17B), range(0xE0000, 0xE1000)),
)
"""Unicode's Default_Ignorable_Code_Point, and others that show nothing: fillers, anchors, an empty note head."""
_CONTROLS: Final = ("Cc", "Zl", "Zp")
_MEANINGLESS: Final = ("Cs", "Co", "Cn")
_VIRAMA: Final = 9  # canonical combining class
_COPYRIGHT: Final = "\xa9\xae"
_FIRST_EMOJI: Final = 0x203C  # ‼; the symbols below it, except © and ®, are ordinary ones such as + and ¬
_FIRST_PICTOGRAPH: Final = "\U0001f000"
_BALL: Final = "\u26f9"
_VARIED: Final = "\u203c\u2049\u2139\u3030"  # old emoji that Unicode does not class as symbols
_JOINING: Final = frozenset(
    (
        *("ARABIC", "SYRIAC", "NKO", "MANDAIC", "MONGOLIAN", "ADLAM", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI"),
        *("ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "TIBETAN", "MYANMAR", "KHMER", "BALINESE"),
        *("JAVANESE", "SUNDANESE", "CHAKMA", "GRANTHA", "NEWA", "TIRHUTA", "SHARADA"),
    )
)
"""Scripts in which a joiner is visible in its effect, by the first word of their characters' names."""
_FLAG_OF_REGION: Final = re.compile(
    "\U0001f3f4(?:"
    + "|".join("".join(chr(0xE0000 + ord(letter)) for letter in region) for region in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)


class Fault(StrEnum):
    """Why a character is not allowed in a text that others read."""

    CONTROL = "control"
    DIRECTION = "direction"
    INVISIBLE = "invisible"
    MEANINGLESS = "meaningless"


def fault_at(text: str, place: int) -> Fault | None:
    """Return what is wrong with the character at this place of the text, or None if it is allowed there."""
    character = text[place]
    if character.isascii() and character.isprintable():
        return None
    category = unicodedata.category(character)
    if category in _CONTROLS:
        return Fault.CONTROL
    if character in DIRECTION:
        return Fault.DIRECTION
    if is_invisible(character):
        return None if _belongs(text, place) else Fault.INVISIBLE
    return Fault.MEANINGLESS if category in _MEANINGLESS else None


def is_invisible(character: str) -> bool:
    """Return whether the character is invisible by itself. Blanks do not count as invisible."""
    if unicodedata.category(character) == "Cf":
        return character not in VISIBLE_FORMATS
    return any(ord(character) in ignorable for ignorable in _IGNORABLE)


def is_mark(character: str) -> bool:
    """Return whether the character is a visible mark, drawn onto the one before it."""
    return unicodedata.category(character).startswith("M") and not is_invisible(character)


def visible_length(text: str) -> int:
    """Return how many characters a person sees. Marks, joiners, skin tones and the second half of a flag don't count.

    The result is close enough to the grapheme clusters of UAX #29 for a limit.
    """
    length, half_a_flag = 0, False
    for place, character in enumerate(text):
        code = ord(character)
        glued = place > 0 and text[place - 1] == ZWJ and _is_symbol(character)
        if glued or code in SKIN_TONES or is_mark(character) or is_invisible(character):
            continue
        half_a_flag = code in REGIONAL and not half_a_flag
        length += not (code in REGIONAL and not half_a_flag)
    return length


def _belongs(text: str, place: int) -> bool:
    """Return whether an invisible character is part of the word or emoji around it."""
    character, before = text[place], text[:place]
    if character in JOINERS:
        return _joins_letters(text, place) or (character == ZWJ and _joins_emoji(text, place))
    if not before:
        return False
    if character in "\ufe0e\ufe0f":
        keycap = before[-1] in "0123456789#*" and text[place + 1 : place + 2] == KEYCAP
        return keycap or _is_symbol(before[-1]) or before[-1] in _VARIED
    if ord(character) in TAGS:
        return any(flag.start() <= place < flag.end() for flag in _FLAG_OF_REGION.finditer(text))
    if "\ufe00" <= character <= "\ufe02" or "\U000e0100" <= character <= "\U000e01ef":
        return unicodedata.name(before[-1], "").startswith("CJK ")
    if character in "\u180b\u180c\u180d\u180f":
        return _script(before[-1]) == "MONGOLIAN"
    return False


def _joins_letters(text: str, place: int) -> bool:
    """Return whether a joiner is inside a word of a script that needs it, or after a virama (RFC 5892 A.1, A.2).

    One side may be of another script: Persian appends its plural to `API`.
    """
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if _script(before) in _JOINING and unicodedata.combining(before) == _VIRAMA:
        return True
    both = bool(_script(before) and _script(after))
    return both and (_script(before) in _JOINING or _script(after) in _JOINING)


def _joins_emoji(text: str, place: int) -> bool:
    """Return whether U+200D joins two emoji here. Among older symbols, only the person with a ball joins another."""
    before, after = text[:place].removesuffix("\ufe0f")[-1:], text[place + 1 : place + 2]
    if not (_is_symbol(before) and _is_symbol(after)):
        return False
    return max(before, after) >= _FIRST_PICTOGRAPH or before == _BALL


def _is_symbol(character: str) -> bool:
    """Return whether the character may be an emoji: a symbol, or a skin tone at the end of one."""
    if not character or (ord(character) < _FIRST_EMOJI and character not in _COPYRIGHT):
        return False
    return unicodedata.category(character) in ("So", "Sm") or ord(character) in SKIN_TONES


def _script(character: str) -> str:
    """Return the first word of the character's name, which names its script; empty if it does not occur in words."""
    if not character or unicodedata.category(character)[0] not in "LMN" or is_invisible(character):
        return ""
    return unicodedata.name(character, "").partition(" ")[0]
