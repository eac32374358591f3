"""Password rules: long, not common, not the portal's own words (NIST SP 800-63B-4 §3.1.1.2). No composition rules."""

import unicodedata

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError

MAX_LENGTH = 256
"""Far above the 64 that ASVS 6.2.9 asks for, and far below a length that would make hashing a denial of service."""
MIN_OWN_CHARACTERS = 8
CONTEXT_WORDS = ("keyportal", "password", "apikey")


def normalize_password(password: str) -> str:
    """Return the password in NFC, so that it matches however a keyboard or a client composed it."""
    return unicodedata.normalize("NFC", password)


class LengthValidator:
    """Requires at least `KEYPORTAL_PASSWORD_LENGTH` characters (15: it may be the only factor), and at most 256.

    Control characters are refused, because HTTP Basic can't carry them (RFC 7617 §2).
    """

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raise `ValidationError` for a password that is too short or too long, or has control characters."""
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
            raise ValidationError("A password can't contain tabs, line ends or control characters.", code="control")
        if len(password) < settings.KEYPORTAL_PASSWORD_LENGTH:
            raise ValidationError(self.get_help_text(), code="password_too_short")
        if len(password) > MAX_LENGTH:
            raise ValidationError(f"A password can have up to {MAX_LENGTH} characters.", code="password_too_long")

    def get_help_text(self) -> str:
        """Return the help text for the field."""
        return f"At least {settings.KEYPORTAL_PASSWORD_LENGTH} characters. A few words in a row work well."


class ContextValidator:
    """Refuses passwords that consist mostly of words of this portal, which are guessed first (ASVS 6.2.11)."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raise `ValidationError` if little is left of the password without these words, digits and punctuation."""
        left = password.lower()
        for word in CONTEXT_WORDS:
            left = left.replace(word, "")
        if left != password.lower() and len(left.strip("0123456789 -_.!")) < MIN_OWN_CHARACTERS:
            raise ValidationError("This password is too easy to guess here.", code="password_context")

    def get_help_text(self) -> str:
        """Return the help text for the field."""
        return "Not this portal's name."
