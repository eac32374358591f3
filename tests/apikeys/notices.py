"""Rounds of notices, what they send, and the use that they are about."""

from datetime import datetime, timedelta

from django.core import mail
from django.test import TestCase
from django.utils import timezone

from apikeys.models import KeySecret
from apikeys.services.notices import send_due_notices
from credentials.usage.models import SourceAddress, Usage

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def remind() -> list[str]:
    """Let a round send what is due; return the subjects of its messages."""
    before = len(mail.outbox)
    with TestCase.captureOnCommitCallbacks(execute=True):
        sent = send_due_notices()
    subjects = [message.subject.removeprefix("[keyportal] ") for message in mail.outbox[before:]]
    assert len(subjects) == sum(sent.values())
    return subjects


def use(secret: KeySecret, at: datetime | None = None, *, calls: int = 0, address: str = "192.0.2.1") -> None:
    """Let a secret be used, by default now, and counted as often in the hour."""
    at = at or timezone.now()
    times = {"first_at": at, "last_at": at}
    SourceAddress.objects.update_or_create(credential=secret.key_id, secret=secret.pk, address=address, defaults=times)
    if calls:
        hour = at.replace(minute=0, second=0, microsecond=0)
        counted = {"entry_point": "api", "outcome": "accepted", "count": calls}
        Usage.objects.create(credential=secret.key_id, secret=secret.pk, hour=hour, **counted)


def text_of_last() -> str:
    """Return the plain text of the last message, without its line ends."""
    return " ".join(str(mail.outbox[-1].body).split())
