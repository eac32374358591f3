"""Rotate a key: a second secret under the same id, while the former one goes on for an overlap."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.issuing import refuse_while_suspended
from apikeys import emails
from apikeys.errors import IntegrityViolationError, OverlapError, RotatingError
from apikeys.models import APIKey, KeySecret
from apikeys.notice_times import next_overlap_notice
from apikeys.overlap_text import MAX_OVERLAP
from apikeys.services.changing import refuse_ended, swap_key
from apikeys.services.idempotency import destroy_answers
from apikeys.services.policies import policy_of
from apikeys.services.secrets import add_secret
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.key_check import confirm_rings_once
from integrity.sealed import TamperedRowError, swap, until_unchanged

DEFAULT_OVERLAP: Final = timedelta(hours=24)
NO_OVERLAP: Final = timedelta(0)
JUST_ROTATED: Final = "This key has just been rotated, by you or by someone else."


def current_secret(key: APIKey) -> KeySecret:
    """Return the newest secret of a key. Raises `KeySecret.DoesNotExist`."""
    return KeySecret.objects.get(key=key, replaced_at=None)


def rotate(
    *, key: APIKey, replaces: str, overlap: timedelta = DEFAULT_OVERLAP, reason: str = "", origin: Origin
) -> tuple[APIKey, str]:
    """Return a key with another secret for it, as text. The former one retires after the overlap.

    `replaces` is the id of the secret that the caller knew as the current one: of two callers that replace the same
    one, the other is told. The overlap ends no later than the key. Without an overlap (a leak), all former secrets are
    refused at once, also those of an overlap that is running. Code that acts for a person must require a fresh log-in.
    Raises `OverlapError`, `RotatingError`, `KeyEndedError`, `IntegrityViolationError`,
    `accounts.errors.IssuingSuspendedError`.
    """
    if not NO_OVERLAP <= overlap <= MAX_OVERLAP:
        raise OverlapError(f"An overlap can take at most {MAX_OVERLAP.days} days.")
    confirm_rings_once()
    policy = policy_of(key.environment)
    with transaction.atomic():
        refuse_while_suspended(is_rotation=True)
        for current in until_unchanged(APIKey, key.pk):
            refuse_ended(current)
            live = list(KeySecret.objects.filter(key=current).live())
            _refuse_third(live, replaces, overlap)
            if swap_key(current, {}):
                break
        now = timezone.now()
        ends = min(now + overlap, current.expires_at or now + overlap)
        for secret in live:
            _retire(secret, at=ends, now=now)
        destroy_answers(current)
        [former] = (secret for secret in live if secret.is_current)
        text = add_secret(current, policy, show_once=former.ciphertext is None)
        about = {"overlap": int(overlap.total_seconds()), "retires_at": ends.isoformat(), "reason": reason}
        record_event(EventType.KEY_ROTATED, subject=f"key:{key.pk}", origin=origin, **about)
        emails.send_key_rotated(current, former.hint, ends if overlap else None, origin)
    return current, text


@transaction.atomic
def end_overlap(*, key: APIKey, origin: Origin) -> bool:
    """Retire all secrets of a key but the current one now; return False if no overlap is running.

    Raises `IntegrityViolationError` for a key that the portal did not write.
    """
    for current in until_unchanged(APIKey, key.pk):
        replaced = list(KeySecret.objects.filter(key=current, replaced_at__isnull=False).live())
        if not replaced:
            return False
        if swap_key(current, {}):
            break
    now = timezone.now()
    for secret in replaced:
        _retire(secret, at=now, now=now)
    hints = [secret.hint for secret in replaced]
    record_event(EventType.OVERLAP_ENDED, subject=f"key:{key.pk}", origin=origin, secrets=hints)
    return True


def _refuse_third(live: Sequence[KeySecret], replaces: str, overlap: timedelta) -> None:
    """Raise `RotatingError` if the rotation would replace another secret than its caller knew, or leave three live."""
    if [secret.pk for secret in live if secret.is_current] != [replaces]:
        raise RotatingError(JUST_ROTATED)
    if overlap and len(live) > 1:
        raise RotatingError("A rotation of this key is under way. End its overlap first.")


def _retire(secret: KeySecret, *, at: datetime, now: datetime) -> None:
    """Let a secret retire then, or when it would have before. One that retires now loses its ciphertext."""
    for row in until_unchanged(KeySecret, secret.pk):
        replaced_at, retires_at = row.replaced_at or now, min(row.retires_at or at, at)
        changes: dict[str, object] = {
            "replaced_at": replaced_at,
            "retires_at": retires_at,
            "notice_at": next_overlap_notice(replaced_at, retires_at, after=now),
        }
        if at <= now:
            changes["ciphertext"] = None
        try:
            if swap(row, changes, ignore_tampering=at <= now):
                return
        except TamperedRowError as error:
            raise IntegrityViolationError(
                "This secret was changed outside the portal. Rotate without an overlap."
            ) from error
