"""The rows of this room that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from tokens.models import RefreshToken, RevokedToken, TokenFamily

MARGIN: Final = timedelta(hours=1)
"""For clocks that differ, and for lifetimes that an operator has shortened since."""


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return what no verifier could accept any more, under its name for operators. Times are the database's own.

    A revoked token's row stays until its expiry, the leeway and the margin are over; a used refresh token's row stays
    while its reuse could still be detected.
    """
    cutoff = Now() - (timedelta(seconds=settings.KEYPORTAL_LEEWAY) + MARGIN)
    return {
        "revoked tokens": RevokedToken.objects.filter(expires_at__lt=cutoff),
        "refresh tokens": RefreshToken.objects.filter(expires_at__lt=cutoff),
        "token families": TokenFamily.objects.filter(expires_at__lt=cutoff),
    }
