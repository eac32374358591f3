"""Find secrets that were pasted into a name, a search or a reason by mistake."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from django.conf import settings

from vault.secret_format import CHECKSUM_CHARACTERS, ENVIRONMENTS, RANDOM_CHARACTERS, REFRESH, hint, is_well_formed

KINDS: Final = (*ENVIRONMENTS, REFRESH)


def secrets_in(text: str) -> Iterator[str]:
    """Yield each secret of this portal in the text, whatever surrounds it."""
    for found in _pattern(settings.KEYPORTAL_BRAND).finditer(text):
        if is_well_formed(settings.KEYPORTAL_BRAND, found[0], KINDS):
            yield found[0]


def holds_secret(text: str) -> bool:
    """Return whether the text contains a secret of this portal."""
    return next(secrets_in(text), None) is not None


def with_hints(text: str) -> str:
    """Return the text with each secret replaced by its hint."""
    for secret in set(secrets_in(text)):
        text = text.replace(secret, hint(secret))
    return text


@lru_cache(maxsize=8)
def _pattern(brand: str) -> re.Pattern[str]:
    return re.compile(rf"{brand}_(?:{'|'.join(KINDS)})_[0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}}")
