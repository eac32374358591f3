"""The audit trail: one function writes it, in the transaction of the verb it tells of."""

from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from accounts.models import AuditEvent
from accounts.origin import Origin

_NEXT_ID: Final = {
    "postgresql": "SELECT nextval(pg_get_serial_sequence('accounts_auditevent', 'id'))",
    "sqlite": (
        "SELECT 1 + max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'accounts_auditevent'), 0), "
        "coalesce((SELECT max(id) FROM accounts_auditevent), 0))"
    ),
}


@transaction.atomic(savepoint=False)
def record(verb: str, *, subject: str, origin: Origin, **details: Any) -> AuditEvent:
    """Insert one event. `subject` is `type:public id`. Details are JSON and never hold a secret.

    It is called inside the caller's transaction: if the event can't be written, the thing did not happen.
    """
    subject_type, _, subject_id = subject.partition(":")
    event = AuditEvent(
        id=_next_id(),
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
    event.save(force_insert=True)  # which seals it
    return event


def _next_id() -> int:
    """Take the id before the insert: the seal covers it, so that no event can be moved or doubled."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_ID[connection.vendor])
        return int(cursor.fetchone()[0])
