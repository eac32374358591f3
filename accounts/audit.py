"""The audit trail: one function writes it, in the transaction of the verb it tells of."""

from typing import Any

from accounts.models import AuditEvent
from accounts.origin import Origin


def record(verb: str, *, subject: str, origin: Origin, **details: Any) -> AuditEvent:
    """Insert one event. `subject` is `type:public id`. Details are JSON and never hold a secret.

    It is called inside the caller's transaction: if the event can't be written, the thing did not happen.
    """
    subject_type, _, subject_id = subject.partition(":")
    return AuditEvent.objects.create(
        verb=verb,
        actor=origin.actor,
        subject_type=subject_type,
        subject_id=subject_id,
        address=origin.address,
        peer=origin.peer,
        request_id=origin.request_id,
        details=details,
    )
