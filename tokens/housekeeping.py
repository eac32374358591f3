"""Purge rows that are no longer needed, in batches, while traffic and other purges go on.

A revoked token's row stays until no verifier could accept the token: until its expiry, plus the leeway, plus a margin
for clocks and shortened lifetimes. A spent refresh token's row stays while its reuse could still be detected. The
digest of a revoked key's secret stays for `KEYPORTAL_TOMBSTONE_DAYS`, so that its holder is told “revoked”; then the
secret is unknown. Audit events go when their stated retention ends. Times are the database's own (`Now()`), which all
machines share.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import AttemptWindow, CacheEntry, MailedLink, PendingMessage
from apikeys.models import KeySecret
from audit.origin import Origin
from audit.removal import remove_expired_events
from credentials.usage.models import SourceAddress, Usage, UsageBatch
from tokens.models import Housekeeping, RefreshToken, RevokedToken, TokenFamily

logger = logging.getLogger(__name__)

PURGE = "purge"
BATCH = 5000
SMALL_BATCH = 500
SMALL_BATCHES = 40
EVERY = timedelta(hours=1)
LOOK = 300  # seconds between two checks whether a purge is due
MARGIN = timedelta(hours=1)
GIVEN_UP_KEPT = timedelta(days=30)  # so that operators can see which messages were not delivered
BATCHES_KEPT = timedelta(days=1)  # no client retries the same counts for so long


def purge(*, by: str, batch: int = BATCH, batches: int | None = None) -> dict[str, int]:
    """Delete expired rows, at most `batch` per statement, and return how many rows of each kind were deleted.

    `batches` limits the statements of each kind. Each is its own transaction, so a purge can be stopped at any time.
    Rows that another purge has locked are skipped.
    """
    Housekeeping.objects.update_or_create(
        task=PURGE, defaults={"started_at": timezone.now(), "finished_at": None, "by": by}
    )
    removed = {name: _delete(rows, batch, batches) for name, rows in _expired().items()}
    origin = Origin.of_command(PURGE) if by == "command" else Origin(actor="system")
    removed["audit events"] = remove_expired_events(origin=origin, batch=batch, batches=batches)
    Housekeeping.objects.filter(task=PURGE).update(finished_at=timezone.now(), removed=removed)
    return removed


def purge_when_due() -> None:
    """Purge a little if no purge has begun for an hour, so that the portal copes without a cron job.

    A background thread calls this regularly (`keyportal/application.py`). A conditional update lets only one worker win
    the turn.
    """
    try:
        Housekeeping.objects.get_or_create(task=PURGE, defaults={"started_at": timezone.now(), "by": "start"})
        turn = Housekeeping.objects.filter(task=PURGE, started_at__lt=timezone.now() - EVERY)
        if turn.update(started_at=timezone.now()):
            purge(by="portal", batch=SMALL_BATCH, batches=SMALL_BATCHES)
    except DatabaseError:
        # The next purge deletes what this one could not.
        logger.exception("purge_failed")


def _expired() -> Mapping[str, QuerySet[Any]]:
    over = Now() - (timedelta(seconds=settings.KEYPORTAL_LEEWAY) + MARGIN)
    return {
        "revoked tokens": RevokedToken.objects.filter(expires_at__lt=over),
        "refresh tokens": RefreshToken.objects.filter(expires_at__lt=over),
        "token families": TokenFamily.objects.filter(expires_at__lt=over),
        "attempts": AttemptWindow.objects.filter(ends_at__lt=Now()),
        "messages given up": PendingMessage.objects.filter(given_up_at__lt=Now() - GIVEN_UP_KEPT),
        "links in messages": MailedLink.objects.filter(expires_at__lt=Now()),
        "cache entries": CacheEntry.objects.filter(expires_at__lt=Now()),
        "usage": Usage.objects.filter(hour__lt=Now() - timedelta(days=settings.KEYPORTAL_USAGE_DAYS)),
        "addresses": SourceAddress.objects.filter(last_at__lt=Now() - timedelta(days=settings.KEYPORTAL_USAGE_DAYS)),
        "tombstones": KeySecret.objects.filter(
            key__revoked_at__lt=Now() - timedelta(days=settings.KEYPORTAL_TOMBSTONE_DAYS)
        ),
        "usage batches": UsageBatch.objects.filter(at__lt=Now() - BATCHES_KEPT),
        "sessions": Session.objects.filter(expire_date__lt=Now()),
    }


def _delete(rows: QuerySet[Any], batch: int, batches: int | None) -> int:
    removed = rounds = 0
    while batches is None or rounds < batches:
        with transaction.atomic():
            ids = list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:batch])
            rows.model.objects.filter(pk__in=ids).delete()
        removed += len(ids)
        rounds += 1
        if len(ids) < batch:
            break
    return removed
