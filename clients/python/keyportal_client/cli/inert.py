"""Texts of others in a terminal: nothing moves the cursor, hides, or turns the line around."""

import re
import unicodedata
from typing import Final

JOINERS: Final = "\u200c\u200d"
"""They hold words and emoji together, and do nothing else."""
_ESCAPED: Final = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_RIGHT_TO_LEFT: Final = ("R", "AL", "AN")
_ISOLATE, _END = "\u2068", "\u2069"
MAX_LENGTH: Final = 1000
_SECRET: Final = re.compile(r"\b([a-z0-9]{1,16}_(?:live|test|refresh)_)[0-9A-Za-z]{8,}|\beyJ[\w.-]{8,}", re.ASCII)


def inert(text: str) -> str:
    """Return a text that a terminal only shows: control and invisible characters are written as escapes.

    A text that has letters of a right-to-left script is isolated (UAX #9), so that it turns nothing around but itself.
    """
    shown = "".join(map(_shown, text[:MAX_LENGTH]))
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown):
        return f"{_ISOLATE}{shown}{_END}"
    return shown


def without_secrets(text: str) -> str:
    """Return a message without the credentials that someone may have typed where they don't belong."""
    return _SECRET.sub(lambda found: f"{found[1] or ''}…", text)


def width(text: str) -> int:
    """Return how many columns a terminal needs for a text."""
    return sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """Return a text that fits so many columns; a longer one ends in an ellipsis."""
    if width(text) <= columns:
        return text
    end = _END if text.startswith(_ISOLATE) else ""
    while text and width(text) > columns - 1:
        text = text[:-1]
    return f"{text}{end}…"


def _shown(character: str) -> str:
    if character in JOINERS or unicodedata.category(character) not in _ESCAPED:
        return character
    return f"\\u{ord(character):04x}"


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
