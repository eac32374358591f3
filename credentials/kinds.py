"""The kind of credential that a text is, by its form alone: one rule for all code that accepts more than one kind."""

import re
from enum import StrEnum
from typing import Final

from django.conf import settings

from vault.secret_format import ALPHABET, ID_CHARACTERS, REFRESH

ELLIPSIS: Final = "…"
_REFRESH: Final = f"_{REFRESH}_"
_PUBLIC_ID: Final = re.compile(rf"(?:key|sec|usr|fam|ref|tok)_[{ALPHABET}]{{{ID_CHARACTERS}}}")


class Kind(StrEnum):
    """The credentials that the portal issues, and the public parts that may be shown of them."""

    API_KEY = "api_key"
    ACCESS_TOKEN = "access_token"  # noqa: S105  # a kind
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  # a kind
    HINT = "hint"
    PUBLIC_ID = "public_id"


def is_signed(text: str) -> bool:
    """Return whether the text is to be verified as an access token: it has a dot, which no secret has."""
    return "." in text


def kind_of(text: str) -> Kind | None:
    """Return the kind of text, valid or not; None for text that does not look like this portal's.

    Everything that begins with the brand counts as a secret or its hint, even if it is mistyped or of a kind that never
    existed. Needs no query.
    """
    if is_signed(text):
        return Kind.ACCESS_TOKEN
    brand: str = settings.KEYPORTAL_BRAND
    if text.startswith(brand) and text.startswith("_", len(brand)):
        if not text.isascii() and ELLIPSIS in text:
            return Kind.HINT
        return Kind.REFRESH_TOKEN if text.startswith(_REFRESH, len(brand)) else Kind.API_KEY
    return Kind.PUBLIC_ID if _PUBLIC_ID.fullmatch(text) else None
