"""E-mail addresses as log-in names, each in one normal form."""

import unicodedata

from django.core.exceptions import ValidationError


def normalize_email(email: str) -> str:
    """Return the normal form in which an address is stored and looked up: trimmed, NFC, lower case."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def refuse_colon(email: str) -> None:
    """Raise `ValidationError` for a colon: HTTP Basic splits user and password at the first one (RFC 7617 §2)."""
    if ":" in email:
        raise ValidationError("An e-mail address with a colon can't be used here.", code="colon")
