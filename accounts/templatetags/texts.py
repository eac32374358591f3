"""Template filters for texts that other people wrote, and for messages in plain text."""

import re
from typing import Final

from django import template

from accounts.names import printable

register = template.Library()

_BETWEEN_PARAGRAPHS: Final = re.compile(r"\n\s*\n")


@register.filter("printable")
def printable_text(text: object) -> str:
    """Return the displayable part of a text that was never validated; empty for None."""
    return "" if text is None else printable(str(text))


@register.filter
def paragraphs(text: str) -> str:
    """Return a plain text with each paragraph on one line: mail programs wrap it, whatever the template's lines are."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in _BETWEEN_PARAGRAPHS.split(text.strip()))
