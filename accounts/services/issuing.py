"""Suspend the issuing of credentials, and resume it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.errors import SuspensionEndError
from accounts.issuing import SUBJECT, current_suspension, hold_issuing, newest_number
from accounts.models import IssuingState
from accounts.suspension import Suspension
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.hostile_rows import has_valid_seal
from integrity.sealed import confirm_rows


@transaction.atomic
def suspend_issuing(
    *, reason: str, until: datetime | None = None, allows_rotation: bool = False, origin: Origin
) -> bool:
    """Issue no new credentials until `until`, or until they are resumed. One that is in force is replaced.

    When it returns, everything that was being issued has either been committed or will be refused. `reason` is shown
    to everyone. Return False if exactly that is in force. Raises `SuspensionEndError` for an end in the past.
    """
    now = timezone.now()
    if until is not None and until <= now:
        raise SuspensionEndError("The end must be in the future.")
    hold_issuing()
    before = current_suspension()
    wanted = Suspension(since=now, until=until, reason=reason, allows_rotation=allows_rotation)
    if before is not None and replace(wanted, since=before.since) == before:
        return False
    bounds = {"until": until, "allows_rotation": allows_rotation, "reason": reason}
    number = _write({**bounds, "suspended_at": now})
    about = {**bounds, "until": until.isoformat() if until else None}
    record_event(EventType.ISSUING_SUSPENDED, subject=":".join(SUBJECT), origin=origin, number=number, **about)
    return True


@transaction.atomic
def resume_issuing(*, origin: Origin) -> bool:
    """Issue new credentials again; return False if they are issued."""
    hold_issuing()
    if current_suspension() is None:
        return False
    number = _write({"suspended_at": None, "until": None, "allows_rotation": False, "reason": ""})
    record_event(EventType.ISSUING_RESUMED, subject=":".join(SUBJECT), origin=origin, number=number)
    return True


def _write(bounds: Mapping[str, Any]) -> int:
    """Write the row anew and return its number, which is higher than those of the row and of the trail.

    The former row is replaced, so nothing that was changed outside the portal is sealed. Its writers run one
    after the other (`hold_issuing`).
    """
    number = max(_numbers(), default=0) + 1
    IssuingState.objects.all().delete()
    row = IssuingState(id=1, number=number, **bounds)
    row.save(force_insert=True)  # seals it too
    confirm_rows(IssuingState.objects.filter(pk=1, seal=row.seal))
    return number


def _numbers() -> list[int]:
    rows = [row.number for row in IssuingState.objects.filter(pk=1) if has_valid_seal(row)]
    return [*rows, newest_number() or 0]
