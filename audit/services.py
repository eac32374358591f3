"""The audit trail's only writer, called in the transaction of the action that it records."""

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from audit.event_counts import event_counts
from audit.event_types import EventType
from audit.id_ranges import MAX_ID
from audit.models import Event
from audit.origin import Origin

logger = logging.getLogger(__name__)

_FREE: Final = f"""
    SELECT id + 1 FROM audit_event AS here
    WHERE id BETWEEN 0 AND {MAX_ID - 1} AND NOT EXISTS (SELECT 1 FROM audit_event WHERE id = here.id + 1)
    ORDER BY id DESC LIMIT 1
"""  # noqa: S608  # a number of ours
_NEXT_ON_SQLITE: Final = f"""
SELECT max(coalesce((
    SELECT seq + 1 FROM sqlite_sequence WHERE name = 'audit_event' AND typeof(seq) = 'integer'
        AND seq BETWEEN 0 AND {MAX_ID - 1} AND NOT EXISTS (SELECT 1 FROM audit_event WHERE id = seq + 1)
), 1), coalesce(({_FREE}), 1))
"""  # noqa: S608
_SEQUENCE: Final = "CAST(pg_get_serial_sequence('audit_event', 'id') AS regclass)"
_NEXT_ON_POSTGRESQL: Final = f"""
WITH given AS MATERIALIZED (
    SELECT CASE WHEN coalesce(pg_sequence_last_value({_SEQUENCE}), 0) < {MAX_ID} THEN nextval({_SEQUENCE}) END AS id
)
SELECT id FROM given WHERE NOT EXISTS (SELECT 1 FROM audit_event AS there WHERE there.id = given.id)
"""  # noqa: S608
_TRIES: Final = 3
_MEND: Final = (
    f"SELECT pg_advisory_xact_lock({_SEQUENCE}::oid::bigint), setval({_SEQUENCE}, coalesce(({_FREE}), 1), false)"
)


@transaction.atomic(savepoint=False)
def record_event(verb: EventType, *, subject: str, origin: Origin, **details: Any) -> Event:
    """Insert an event and return it. `subject` is `type:public id`. Details are JSON and never hold a secret.

    It runs in the caller's transaction: if the event can't be written, the recorded action is rolled back.
    """
    event = _event(_next_id(), verb, subject, origin, details)
    event.save(force_insert=True)  # seals it too
    transaction.on_commit(partial(event_counts().add, str(verb)), robust=True)
    return event


@transaction.atomic(savepoint=False)
def record_events(verb: EventType, *, subjects: Sequence[str], origin: Origin, **details: Any) -> None:
    """Insert an event for each subject, with the same details, as `record_event` does for one."""
    events = [
        _event(number, verb, subject, origin, details)
        for number, subject in zip(_next_ids(len(subjects)), subjects, strict=True)
    ]
    for event in events:
        event.seal = event.make_seal()
    Event.objects.bulk_create(events)
    transaction.on_commit(partial(event_counts().add, str(verb), len(events)), robust=True)


def _event(number: int, verb: EventType, subject: str, origin: Origin, details: dict[str, Any]) -> Event:
    subject_type, _, subject_id = subject.partition(":")
    event = Event(
        id=number,
        verb=verb,
        actor=origin.actor,
        subject_type=subject_type,
        subject_id=subject_id,
        address=origin.address,
        peer=origin.peer,
        request_id=origin.request_id,
        details=details,
    )
    if settings.KEYPORTAL_AUDIT_DAYS:
        event.keep_until = event.at + timedelta(days=settings.KEYPORTAL_AUDIT_DAYS)
    return event


def _next_ids(count: int) -> Iterator[int]:
    """Yield as many ids as `_next_id` would give, with few queries, unless someone has put events in their way.

    On SQLite they follow each other, because this transaction alone writes.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            first = _next_id()
            numbers = list(range(first, first + count))
        else:
            cursor.execute(f"SELECT nextval({_SEQUENCE}) FROM generate_series(1, %s)", [count])  # noqa: S608
            numbers = [int(row[0]) for row in cursor.fetchall()]
    is_free = max(numbers, default=0) <= MAX_ID and not Event.objects.filter(pk__in=numbers).exists()
    yield from numbers if is_free else (_next_id() for _ in range(count))


def _next_id() -> int:
    """Return an id, allocated before the insert because the seal covers it, so that no event can be moved or copied.

    A role that may insert could move the sequence, or insert an id, so far up that none is left after it. Then the next
    id follows the highest one that leaves room.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(_NEXT_ON_SQLITE)
            return int(cursor.fetchone()[0])
        for _ in range(_TRIES):
            cursor.execute(_NEXT_ON_POSTGRESQL)
            row = cursor.fetchone()
            if row and row[0]:
                return int(row[0])
            logger.error("integrity_violation: the sequence of the trail's ids was moved and has been reset")
            cursor.execute(_MEND)
    raise DatabaseError("no sequence gives the trail an id")
