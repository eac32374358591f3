"""Which kind of credential a text is, by its looks alone: one answer for every place that takes more than one kind."""

import re
from enum import StrEnum
from typing import Final

from django.conf import settings

from vault.secret_format import ALPHABET, ID_CHARACTERS, REFRESH

ELLIPSIS: Final = "…"
_REFRESH: Final = f"_{REFRESH}_"
_PUBLIC_ID: Final = re.compile(rf"(?:key|sec|usr|fam|ref|tok)_[{ALPHABET}]{{{ID_CHARACTERS}}}")


class Kind(StrEnum):
    """What the portal issues, and what may be shown of it."""

    API_KEY = "api_key"
    ACCESS_TOKEN = "access_token"  # noqa: S105  # a kind
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  # a kind
    HINT = "hint"
    PUBLIC_ID = "public_id"


def is_signed(text: str) -> bool:
    """Return whether this is for the judges of access tokens, good or bad: it has a dot, which no secret has."""
    return "." in text


def kind_of(text: str) -> Kind | None:
    """Return which kind of text this is, good or bad; None for what looks like nothing of this portal's.

    Everything that begins with the brand is a secret's, mistyped ones and secrets of kinds that there never were
    included. It asks nobody.
    """
    if is_signed(text):
        return Kind.ACCESS_TOKEN
    brand: str = settings.KEYPORTAL_BRAND
    if text.startswith(brand) and text.startswith("_", len(brand)):
        if not text.isascii() and ELLIPSIS in text:
            return Kind.HINT
        return Kind.REFRESH_TOKEN if text.startswith(_REFRESH, len(brand)) else Kind.API_KEY
    return Kind.PUBLIC_ID if _PUBLIC_ID.fullmatch(text) else None
