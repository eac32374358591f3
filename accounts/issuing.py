"""Whether credentials are issued: every verb that gives out a secret or a token asks here (decision 29).

It is read at each request that issues something, and never cached. These are few, and use the database anyway.
"""

import logging
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.errors import IssuingSuspendedError
from accounts.models import IssuingState
from accounts.suspension import TAMPERED, Suspension
from audit.models import Event
from integrity.hostile_rows import UNREADABLE, has_valid_seal

logger = logging.getLogger(__name__)

SUBJECT: Final = ("portal", "issuing")
"""The subject of the events about it."""
LOCK: Final = 0x6B70_6973_7375_6521
"""PostgreSQL's advisory lock: shared by what issues, exclusive for who suspends it."""
TRIES: Final = 3
LOOKED_AT: Final = 1000
"""Events that are read at most; there is one for each suspension, and one for its end."""


def refuse_while_suspended(*, is_rotation: bool = False) -> None:
    """Raise `IssuingSuspendedError` while issuing is suspended; `is_rotation` for what replaces or repeats a secret.

    Call it in the transaction that issues. On PostgreSQL it holds a shared lock until that ends, so that once a
    suspension is committed, nothing that began before it can still issue. On SQLite the transaction is IMMEDIATE and
    already alone.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
    suspension = current_suspension()
    if suspension is not None and not (is_rotation and suspension.allows_rotation):
        raise IssuingSuspendedError(suspension)


def hold_issuing() -> None:
    """Wait for everything that is being issued, and let nothing else begin until the transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def current_suspension() -> Suspension | None:
    """Return the suspension that is in force; None if credentials are issued.

    If the setting is not as the portal wrote it, that is a suspension as well: SQL alone can't lift one.
    """
    for _ in range(TRIES):  # another one may be set between the two queries
        try:
            state = IssuingState.objects.first()
            if _is_newest(state):
                return _suspension_of(state)
        except UNREADABLE:
            with transaction.atomic():
                IssuingState.objects.exists()  # raises unless the fault is in a row
    logger.error("integrity_violation: whether credentials are issued was changed outside the portal")
    return Suspension(since=None, until=None, reason=TAMPERED)


def _suspension_of(state: IssuingState | None) -> Suspension | None:
    if state is None or state.suspended_at is None:
        return None
    if state.until is not None and state.until <= timezone.now():
        return None
    return Suspension(
        since=state.suspended_at, until=state.until, reason=state.reason, allows_rotation=state.allows_rotation
    )


def newest_number() -> int | None:
    """Return the number of the newest event about it that the portal wrote, 0 if there is none; None if that is hidden.

    The trail refuses to be changed, but a role that may insert can add forged events. They count for nothing, unless
    there are so many that the portal's own can't be found among them.
    """
    subject_type, subject_id = SUBJECT
    newest = Event.objects.filter(subject_type=subject_type, subject_id=subject_id).order_by("-id")[:LOOKED_AT]
    events = list(newest)
    numbers = [int(event.details["number"]) for event in events if has_valid_seal(event)]
    return max(numbers, default=None if len(events) == LOOKED_AT else 0)


def _is_newest(state: IssuingState | None) -> bool:
    """Return whether the row is as the portal wrote it, and no older than the newest event about it.

    A row that is gone is older, too.
    """
    number = newest_number()
    if number is None:
        return False
    if state is None:
        return number == 0
    return has_valid_seal(state) and number <= state.number
