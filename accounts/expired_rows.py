"""The rows of this room that are no longer needed, for the purge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.models import AttemptWindow, CacheEntry, MailedLink, PendingMessage

GIVEN_UP_FOR: Final = timedelta(days=30)
"""How long operators can see which messages were not delivered."""


def expired_rows() -> Mapping[str, QuerySet[Any]]:
    """Return what has ended, under its name for operators. Times are the database's own."""
    return {
        "attempts": AttemptWindow.objects.filter(ends_at__lt=Now()),
        "messages given up": PendingMessage.objects.filter(given_up_at__lt=Now() - GIVEN_UP_FOR),
        "links in messages": MailedLink.objects.filter(expires_at__lt=Now()),
        "cache entries": CacheEntry.objects.filter(expires_at__lt=Now()),
        "sessions": Session.objects.filter(expire_date__lt=Now()),
    }
