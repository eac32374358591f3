"""Queue the notices that are due: a key expires soon, a former secret that is in use retires soon, or has retired.

Keys and secrets have a column that says when their next notice is due, so a round touches these alone, however many
keys there are. It locks a batch of them, inserts a row for each notice, queues the messages whose row it has inserted
itself, and moves the column on, all in one transaction. Any number of workers and hosts may do so at once: a unique
constraint lets one of them insert a row, and what a killed one had begun is rolled back and still due.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final, TypeVar

from django.db import connection, transaction
from django.utils import timezone

from accounts.message_kinds import MessageKind
from accounts.preferences import wanted_by
from apikeys import notice_emails
from apikeys.models import APIKey, KeySecret, Notice
from apikeys.notice_times import (
    NoticeKind,
    due_expiry_notice,
    lead_of_overlap,
    next_expiry_notice,
    next_overlap_notice,
)
from apikeys.notice_usage import NoticeUsage, usage_of_keys, usage_of_secrets
from integrity.hostile_rows import UNREADABLE, has_valid_seal, read_row

logger = logging.getLogger(__name__)

BATCH: Final = 100
"""Keys or secrets in one transaction, which holds their locks."""
PAUSE: Final = 0.1
"""Seconds between two transactions on SQLite, whose other writers try this often to get the one lock that there is."""
IN_USE: Final = timedelta(days=7)
"""A key that was used within this time is in use: the later notices about its expiry are louder."""
LAST_HOUR: Final = timedelta(hours=1)

Row = TypeVar("Row", APIKey, KeySecret)


def send_due_notices(*, batches: int | None = None) -> Counter[str]:
    """Queue what is due; return how many notices of each `NoticeKind`. `batches` bounds the transactions of each table.

    Raises `django.db.Error`; what was not committed is still due then.
    """
    sent: Counter[str] = Counter()
    for send_batch in (_send_expiry_notices, _send_overlap_notices):
        for number in count() if batches is None else range(batches):
            if number and connection.vendor == "sqlite":
                time.sleep(PAUSE)
            if send_batch(timezone.now(), sent) < BATCH:
                break
    return sent


def _send_expiry_notices(now: datetime, sent: Counter[str]) -> int:
    """Queue and count the notices of a batch of keys; return how many keys there were."""
    if not APIKey.objects.filter(notice_at__lte=now).exists():
        return 0  # no lock for nothing
    with transaction.atomic():
        keys = _lock_due(APIKey, now, "owner")
        told = _owners_to_tell(keys)
        queued = _insert([notice for key in keys if key.owner_id in told and (notice := _expiry_notice(key, now))])
        usage = usage_of_keys([notice.key_id for notice in queued])
        for notice in queued:
            used = usage[notice.key_id]
            is_loud = notice.kind != NoticeKind.EXPIRES_30 and used.is_used_since(now - IN_USE)
            notice_emails.send_key_expires(notice.key, used, is_loud=is_loud, now=now)
        for key in keys:
            key.notice_at = None if key.revoked_at else next_expiry_notice(key.expires_at, after=now)
        APIKey.objects.bulk_update(keys, ["notice_at"])
    sent.update(notice.kind for notice in queued)
    return len(keys)


def _send_overlap_notices(now: datetime, sent: Counter[str]) -> int:
    """Queue and count the notices of a batch of former secrets; return how many secrets there were."""
    if not KeySecret.objects.filter(notice_at__lte=now).exists():
        return 0
    with transaction.atomic():
        secrets = _lock_due(KeySecret, now, "key__owner")
        usage, by_id = usage_of_secrets(secrets), {secret.pk: secret for secret in secrets}
        told = _owners_to_tell([secret.key for secret in secrets])
        of_told = [secret for secret in secrets if secret.key.owner_id in told]
        queued = _insert([notice for one in of_told if (notice := _overlap_notice(one, usage[one.pk], now))])
        for notice in queued:
            secret, used = by_id[notice.secret], usage[notice.secret]
            if notice.kind == NoticeKind.OVERLAP_ENDS:
                notice_emails.send_overlap_ends(secret, used, now=now)
            else:
                notice_emails.send_overlap_ended(secret, used)
        for secret in secrets:
            secret.notice_at = _next_notice_of(secret, now)
        KeySecret.objects.bulk_update(secrets, ["notice_at"])
    sent.update(notice.kind for notice in queued)
    return len(secrets)


def _lock_due(model: type[Row], now: datetime, owner: str) -> list[Row]:
    """Lock rows whose notice is due and return them, with their owners. What another worker has locked is left to it.

    A row that can't be read is reported and not looked at again, because it would hold up all others.
    """
    due = model._default_manager.filter(notice_at__lte=now).order_by("notice_at")
    ids = list(due.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)[:BATCH])
    locked = model._default_manager.filter(pk__in=ids)
    try:
        return list(locked.select_related(owner))
    except UNREADABLE:
        rows = {pk: read_row(model, pk) for pk in ids}
    unreadable = [pk for pk, row in rows.items() if row is None]
    locked.filter(pk__in=unreadable).update(notice_at=None)
    logger.error("integrity_violation: no notices about rows that can't be read: %s", ", ".join(unreadable))
    return [row for row in rows.values() if row is not None]


def _owners_to_tell(keys: Sequence[APIKey]) -> set[str]:
    """Return the ids of the owners who get notices: who are active and confirmed, and have not switched them off."""
    owners = {key.owner_id: key.owner for key in keys}
    active = [pk for pk, owner in owners.items() if owner.is_active and owner.is_confirmed and has_valid_seal(owner)]
    return wanted_by(active, MessageKind.EXPIRY)


def _insert(notices: Sequence[Notice]) -> list[Notice]:
    """Insert the rows, and return those that were not there. Sorted, so that two workers can't deadlock."""
    wanted = sorted(notices, key=lambda notice: (notice.key_id, notice.secret, notice.kind))
    Notice.objects.bulk_create(wanted, ignore_conflicts=True)
    inserted = set(Notice.objects.filter(pk__in=[notice.pk for notice in wanted]).values_list("pk", flat=True))
    return [notice for notice in wanted if notice.pk in inserted]


def _expiry_notice(key: APIKey, now: datetime) -> Notice | None:
    """Return the notice that is due about a key's expiry; None if none is, or nobody can use the key until then."""
    kind = due_expiry_notice(key.expires_at, created_at=key.created_at, now=now)
    if kind is None or key.expires_at is None or not _is_usable(key, until=key.expires_at):
        return None
    return Notice(key=key, kind=kind, due_for=key.expires_at)


def _overlap_notice(secret: KeySecret, usage: NoticeUsage, now: datetime) -> Notice | None:
    """Return the notice that is due about a former secret; None if it is not in use."""
    key, at, kind = secret.key, secret.retires_at, NoticeKind.OVERLAP_ENDS
    if at is None or secret.replaced_at is None or not has_valid_seal(secret):
        return None
    # Used within as long before as is left: then it will be used after, too.
    used_since = now - (lead_of_overlap(at - secret.replaced_at) or LAST_HOUR)
    if at <= now:
        kind, used_since = NoticeKind.OVERLAP_ENDED, at - LAST_HOUR
    ends_with_key = key.expires_at is not None and key.expires_at <= max(at, now)
    until = at if at > now else None
    if ends_with_key or not usage.is_used_since(used_since) or not _is_usable(key, until=until):
        return None
    return Notice(key=key, secret=secret.pk, kind=kind, due_for=at)


def _next_notice_of(secret: KeySecret, now: datetime) -> datetime | None:
    if secret.key.revoked_at or secret.retires_at is None or secret.replaced_at is None:
        return None
    return next_overlap_notice(secret.replaced_at, secret.retires_at, after=now)


def _is_usable(key: APIKey, *, until: datetime | None) -> bool:
    """Return whether the key will be accepted at some moment before that one (ever, for None), as far as is known."""
    end = key.paused_until
    is_paused_for_good = key.is_paused and (end is None or (until is not None and end >= until))
    return key.revoked_at is None and not is_paused_for_good and has_valid_seal(key)
