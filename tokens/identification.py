"""Look up the owner of a pasted or presented secret, for revocation and for an operator's search."""

from typing import TypeVar

from django.conf import settings

from apikeys.models import KeySecret
from integrity.key_check import confirm_rings
from tokens.models import RefreshToken
from vault.secret_format import REFRESH, is_well_formed

Row = TypeVar("Row", KeySecret, RefreshToken)


def secret_of(text: str) -> KeySecret | None:
    """Return the row of a key's secret, with key and owner, or None. Malformed text costs no query."""
    if not is_well_formed(settings.KEYPORTAL_BRAND, text):
        return None
    return _or_unknown(KeySecret.objects.with_secret(text).select_related("key__owner").first())


def refresh_token_of(text: str) -> RefreshToken | None:
    """Return the row of a refresh token, with its log-in and user, or None. Malformed text costs no query."""
    if not is_well_formed(settings.KEYPORTAL_BRAND, text, (REFRESH,)):
        return None
    return _or_unknown(RefreshToken.objects.with_secret(text).select_related("family__user").first())


def _or_unknown(row: Row | None) -> Row | None:
    """Return what was found. Raises `RingMisfitError` if there may be a row under a key that this process lacks."""
    if row is None:
        confirm_rings()
    return row
