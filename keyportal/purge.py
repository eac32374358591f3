"""Purge the rows that the rooms no longer need, in batches, while traffic and other purges go on.

Each room says which of its rows have expired (`expired_rows.py`); the audit trail removes its own, because its chain
must name them.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import expired_rows as accounts
from apikeys import expired_rows as apikeys
from audit.origin import Origin
from audit.removal import remove_expired_events
from credentials.usage import expired_rows as usage
from credentials.verified_cache import expired_rows as changes
from keyportal.models import TaskRun
from tokens import expired_rows as tokens

logger = logging.getLogger(__name__)

EXPIRED_ROWS: Final[tuple[Callable[[], Mapping[str, QuerySet[Any]]], ...]] = (
    tokens.expired_rows,
    accounts.expired_rows,
    usage.expired_rows,
    changes.expired_rows,
    apikeys.expired_rows,
)
PURGE: Final = "purge"
BATCH: Final = 5000
SMALL_BATCH: Final = 500
SMALL_BATCHES: Final = 40
PURGE_INTERVAL: Final = timedelta(hours=1)
CHECK_EVERY: Final = 300
"""Seconds between two checks of a worker whether a purge is due."""


def purge(*, by: str, batch: int = BATCH, batches: int | None = None) -> dict[str, int]:
    """Delete expired rows, at most `batch` per statement, and return how many rows of each kind were deleted.

    `batches` limits the statements of each kind. Each is its own transaction, so a purge can be stopped at any time.
    Rows that another purge has locked are skipped.
    """
    TaskRun.objects.update_or_create(task=PURGE, defaults={"started_at": timezone.now(), "by": by})
    removed = {name: _delete(rows, batch, batches) for expired in EXPIRED_ROWS for name, rows in expired().items()}
    origin = Origin.of_command(PURGE) if by == "command" else Origin(actor="system")
    removed["audit events"] = remove_expired_events(origin=origin, batch=batch, batches=batches)
    TaskRun.objects.filter(task=PURGE).update(finished_at=timezone.now(), result=removed)
    return removed


def purge_when_due() -> bool:
    """Purge a little if no purge has begun for an hour, so that the portal copes without a cron job.

    Return False if that failed. A periodic task calls this (`keyportal/periodic_tasks.py`). A conditional update lets
    only one worker win the turn.
    """
    try:
        TaskRun.objects.get_or_create(task=PURGE, defaults={"started_at": timezone.now(), "by": "start"})
        turn = TaskRun.objects.filter(task=PURGE, started_at__lt=timezone.now() - PURGE_INTERVAL)
        if turn.update(started_at=timezone.now()):
            purge(by="portal", batch=SMALL_BATCH, batches=SMALL_BATCHES)
    except DatabaseError as error:
        # The next purge deletes what this one could not.
        logger.error("purge_failed: %s", error)  # noqa: TRY400  # the log has its reason
        return False
    return True


def last_purge_at() -> datetime | None:
    """Return when a purge last ended well; None if none has yet."""
    return TaskRun.objects.filter(task=PURGE).values_list("finished_at", flat=True).first()


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
