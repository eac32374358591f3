"""Look up the owner of a pasted or presented secret, for revocation and for an operator's search."""

from django.conf import settings

from apikeys.models import KeySecret
from tokens.models import RefreshToken
from vault.secret_format import REFRESH, is_well_formed


def secret_of(text: str) -> KeySecret | None:
    """Return the row of a key's secret, with key and owner, or None. Malformed text costs no query."""
    if not is_well_formed(settings.KEYPORTAL_BRAND, text):
        return None
    return KeySecret.objects.with_secret(text).select_related("key__owner").first()


def refresh_token_of(text: str) -> RefreshToken | None:
    """Return the row of a refresh token, with its log-in and user, or None. Malformed text costs no query."""
    if not is_well_formed(settings.KEYPORTAL_BRAND, text, (REFRESH,)):
        return None
    return RefreshToken.objects.with_secret(text).select_related("family__user").first()
