"""Pause a key, and resume it."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apikeys import emails
from apikeys.errors import PausedByOperatorError, PauseEndError
from apikeys.models import APIKey
from apikeys.services.changing import refuse_ended, swap_key
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import until_unchanged


@transaction.atomic
def pause(
    *, key: APIKey, reason: str = "", until: datetime | None = None, by_operator: bool = False, origin: Origin
) -> bool:
    """Refuse a key until it is resumed, or until this time; return False if it was already paused.

    Pausing a paused key changes nothing, unless an operator pauses what its owner had: then the later end holds. Raises
    `KeyEndedError`, `PauseEndError` for an end in the past, `IntegrityViolationError`.
    """
    now = timezone.now()
    if until is not None and until <= now:
        raise PauseEndError("The end of a pause must be in the future.")
    changes = {"paused_at": now, "paused_reason": reason, "paused_by_operator": by_operator}
    for current in until_unchanged(APIKey, key.pk):
        refuse_ended(current)
        if current.is_paused and (current.paused_by_operator or not by_operator):
            return False
        ends = _later(until, current.paused_until) if current.is_paused else until
        if swap_key(current, {**changes, "paused_until": ends}):
            break
    about = {"reason": reason, "until": ends.isoformat() if ends else None}
    record_event(EventType.KEY_PAUSED, subject=f"key:{key.pk}", origin=origin, **about)
    emails.send_key_paused(current, origin)
    return True


@transaction.atomic
def resume(*, key: APIKey, by_operator: bool = False, origin: Origin) -> bool:
    """Accept a paused key again; return False if it is not paused.

    It makes the key wider, so code that acts for a person must require a fresh log-in. Raises `KeyEndedError`,
    `PausedByOperatorError`, `IntegrityViolationError`.
    """
    changes = {"paused_at": None, "paused_until": None, "paused_reason": "", "paused_by_operator": False}
    for current in until_unchanged(APIKey, key.pk):
        refuse_ended(current)
        if not current.is_paused:
            return False
        if current.paused_by_operator and not by_operator:
            raise PausedByOperatorError("An operator paused this key. Ask them to resume it.")
        if swap_key(current, changes):
            break
    record_event(EventType.KEY_RESUMED, subject=f"key:{key.pk}", origin=origin)
    emails.send_key_resumed(current, origin)
    return True


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two ends; None stands for none."""
    return None if one is None or other is None else max(one, other)
