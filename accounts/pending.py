"""Pending messages: stored in the caller's transaction, claimed by one worker at a time, never lost.

An action that is rolled back sends nothing, and one that commits does not wait for the mail server. `accounts.sending`
sends the messages. Times are the database's own, which all machines share.

A conditional UPDATE decides which worker claims a message. It raises `tries`, which then identifies the worker that has
the message, and moves `due_at` past the longest time that handing it over may take. If the process dies meanwhile, the
message is tried again after that time. If the mail server had accepted it already, it is sent twice, under the same
`Message-ID`.
"""

import json
import logging
import os
import threading
from dataclasses import asdict
from datetime import datetime, timedelta
from email.utils import formatdate
from functools import cache
from smtplib import SMTPRecipientsRefused, SMTPResponseException
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.mail import Message
from accounts.models import PendingMessage
from integrity.hostile_rows import seal_of
from integrity.sealed import confirm_rows
from integrity.sealing import seal_value, unseal_value
from vault.errors import SealBrokenError

logger = logging.getLogger(__name__)

DELAYS: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600))
"""The pauses between tries."""
TRIES: Final = len(DELAYS) + 1
MAX_WAIT: Final = timedelta(days=3)
"""After a mail server has been away for this long, a message is no longer useful: its link has expired."""
CANDIDATES: Final = 10
"""How many due messages a worker tries, to find one that no other worker claims."""


@cache
def message_committed() -> threading.Event:
    """Return an event that is set when this process has committed a message, to wake its sending thread.

    Other processes poll now and then.
    """
    return threading.Event()


os.register_at_fork(
    after_in_child=message_committed.cache_clear
)  # a thread of the parent may have held the old one's lock


class ClaimedMessage(NamedTuple):
    """A message that this worker has claimed."""

    id: str
    what: str
    tries: int
    """The number of tries, this one included."""
    content: bytes

    def rows(self) -> "QuerySet[PendingMessage]":
        """Return a queryset of its row; empty if the message is no longer this worker's."""
        return PendingMessage.objects.filter(pk=self.id, tries=self.tries, given_up_at=None)


class Backlog(NamedTuple):
    """The messages that are waiting to be sent."""

    waiting: int
    longest_wait: float
    """Seconds since the oldest one was created."""


def send_after_commit(message: Message, *, what: str) -> None:
    """Store a message, to be sent once the caller's transaction has committed; `what` is the name of its template.

    Its headers are made here, once, so that a mailbox that gets it twice can tell by the `Message-ID`. The `Message-ID`
    has the portal's host, where Python's default would reveal the machine's name.
    """
    row = PendingMessage(what=what)
    host = urlsplit(settings.KEYPORTAL_URL).hostname
    headers = {"Message-ID": f"<{row.pk}@{host}>", "Date": formatdate()}
    content = json.dumps({"message": asdict(message), "headers": headers})
    row.content = seal_value(content, _context(row.pk, what))
    row.save(force_insert=True)
    transaction.on_commit(message_committed().set, robust=True)


def is_any_due() -> bool:
    """Return whether any message is due."""
    return _due().exists()


def claim(*, during: timedelta) -> ClaimedMessage | None:
    """Claim the message that has been due longest, for this time; None if no due message is free."""
    for pk in list(_due().order_by("due_at").values_list("pk", flat=True)[:CANDIDATES]):
        if (claimed := _claim(pk, during)) is not None:
            return claimed
    return None


def unseal_message(claimed: ClaimedMessage) -> EmailMessage:
    """Return the e-mail. Raises `vault.errors.VaultError` if the portal did not write this content into this row."""
    members: dict[str, Any] = json.loads(unseal_value(claimed.content, _context(claimed.id, claimed.what)))
    return Message(**members["message"]).as_email(members["headers"])


def remove(ids: set[str]) -> None:
    """Delete the rows of messages that were sent."""
    PendingMessage.objects.filter(pk__in=ids).delete()


def reschedule(claimed: ClaimedMessage, error: Exception) -> bool:
    """Schedule the next try; return whether there is one. A broken seal, or the last try, ends the message."""
    if isinstance(error, SealBrokenError):
        logger.error("integrity_violation: the content of %s was not written for it", claimed.id)
    elif claimed.tries < TRIES:
        logger.warning("mail_delayed: %s (%s, try %d): %s", claimed.what, claimed.id, claimed.tries, _in_short(error))
        claimed.rows().update(due_at=Now() + DELAYS[claimed.tries - 1])
        return True
    summary = _in_short(error)
    logger.error("mail_unsent: %s (%s, try %d): %s", claimed.what, claimed.id, claimed.tries, summary, exc_info=error)
    _give_up(claimed.rows())
    return False


def give_up_hopeless() -> int:
    """Abandon messages that are too old, or whose every try ended with the process's death; return their number."""
    hopeless = Q(tries__gte=TRIES) | Q(created_at__lt=Now() - MAX_WAIT)
    given_up = 0
    for pk, what in _due().filter(hopeless).values_list("pk", "what"):
        if _give_up(_due().filter(pk=pk)):
            logger.error("mail_unsent: %s (%s)", what, pk)
            given_up += 1
    return given_up


def backlog() -> Backlog:
    """Return how many messages are waiting, and for how long the oldest has been."""
    waiting = PendingMessage.objects.filter(given_up_at=None)
    found: dict[str, Any] = waiting.aggregate(count=Count("pk"), oldest=Min("created_at"))
    oldest: datetime | None = found["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    return Backlog(found["count"], max(age, 0.0))


def _context(id_: str, what: str) -> tuple[str, str, str]:
    return "pending message", id_, what


def _due() -> "QuerySet[PendingMessage]":
    return PendingMessage.objects.filter(given_up_at=None, due_at__lte=Now())


def _claim(pk: str, during: timedelta) -> ClaimedMessage | None:
    """Claim a message, unless another worker does. Its row may hold anything, if the database was edited by hand."""
    read = _due().filter(pk=pk).values_list("what", "tries", "content").first()
    if read is None or not isinstance(read[1], int):
        return None
    claimed = ClaimedMessage(pk, str(read[0]), read[1] + 1, seal_of(read[2]))
    with transaction.atomic():
        free = PendingMessage.objects.filter(pk=pk, tries=read[1], tries__lt=TRIES, given_up_at=None)
        if free.update(tries=F("tries") + 1, due_at=Now() + during) != 1:
            return None
        confirm_rows(claimed.rows())  # if `tries` did not grow, it would be sent for ever
    return claimed


def _in_short(error: Exception) -> str:
    """Return the error's class and the mail server's codes. The server's text may quote an address."""
    codes: list[int] = []
    if isinstance(error, SMTPResponseException):
        codes = [error.smtp_code]
    elif isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    return " ".join([type(error).__name__, *map(str, codes)])


def _give_up(rows: "QuerySet[PendingMessage]") -> bool:
    return bool(rows.update(given_up_at=Now(), content=None))
