"""When a notice about a key is due: before the key expires, before its former secret retires, and when it has.

Knows no table. All differences are taken between times first, because a row that the portal did not write may hold the
first or the last moment of the calendar.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import models


class NoticeKind(models.TextChoices):
    """What a notice is about. The label is what the command `remind` calls it."""

    EXPIRES_30 = "expires_30", "keys that expire in 30 days"
    EXPIRES_7 = "expires_7", "keys that expire in 7 days"
    EXPIRES_1 = "expires_1", "keys that expire in a day"
    OVERLAP_ENDS = "overlap_ends", "former secrets that are in use and retire soon"
    OVERLAP_ENDED = "overlap_ended", "former secrets that were in use when they retired"


LEADS: Final[Mapping[NoticeKind, timedelta]] = {
    NoticeKind.EXPIRES_30: timedelta(days=30),
    NoticeKind.EXPIRES_7: timedelta(days=7),
    NoticeKind.EXPIRES_1: timedelta(days=1),
}
"""How long before the expiry each notice is due, the earliest first."""
LONG_OVERLAP: Final = timedelta(days=2)
SHORT_OVERLAP: Final = timedelta(hours=6)
"""A shorter overlap is over before a message is read, so there are no notices about it."""


def next_expiry_notice(expires_at: datetime | None, *, after: datetime) -> datetime | None:
    """Return when the first notice after a moment is due; None if none is to come."""
    if expires_at is None:
        return None
    lead = next((lead for lead in LEADS.values() if expires_at - after > lead), None)
    return None if lead is None else expires_at - lead


def due_expiry_notice(expires_at: datetime | None, *, created_at: datetime, now: datetime) -> NoticeKind | None:
    """Return which notice is due; None if none is. Of several whose time has come, it is the newest.

    A notice whose time had come before the key was created says nothing new, and is never due.
    """
    if expires_at is None or expires_at <= now:
        return None
    due = [kind for kind, lead in LEADS.items() if expires_at - now <= lead < expires_at - created_at]
    return due[-1] if due else None


def lead_of_overlap(overlap: timedelta) -> timedelta | None:
    """Return how long before the end of an overlap a notice is due; None if there are no notices about it."""
    if overlap < SHORT_OVERLAP:
        return None
    return timedelta(days=1) if overlap > LONG_OVERLAP else timedelta(hours=2)


def next_overlap_notice(replaced_at: datetime, retires_at: datetime, *, after: datetime) -> datetime | None:
    """Return when the first notice about an overlap is due after a moment; None if none is to come."""
    lead = lead_of_overlap(retires_at - replaced_at)
    if lead is None or retires_at <= after:
        return None
    return retires_at - lead if retires_at - after > lead else retires_at
