"""Messages that wait to be sent: written in the verb's own transaction, taken by one worker at a time, never lost.

A verb that is rolled back sends nothing, and one that commits waits for no mail server. `accounts.sending` sends. Times
are the database's own, which all machines share.

A conditional UPDATE decides who takes a message. It raises `tries`, which from then on says whose the message is, and
moves `due_at` behind the longest that handing it over may take. A process that dies meanwhile holds it until then, and
then it is tried again. If the mail server had taken it by then, it leaves twice, under the same `Message-ID`.
"""

import json
import logging
import os
import threading
from dataclasses import asdict
from datetime import datetime, timedelta
from email.utils import formatdate
from smtplib import SMTPRecipientsRefused, SMTPResponseException
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.hostile_rows import seal_of
from accounts.mail import Message
from accounts.models import PendingMessage
from accounts.rings import sealing_ring
from accounts.sealed import insist
from vault.errors import SealBrokenError
from vault.sealing import seal, unseal

logger = logging.getLogger(__name__)

DELAYS: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600))
"""Between two tries."""
TRIES: Final = len(DELAYS) + 1
LONGEST_WAIT: Final = timedelta(days=3)
"""Nobody has use for what a mail server takes after that: it was away, and links are over."""
CANDIDATES: Final = 10
"""How many due messages a worker looks at for one that no other takes."""

written = threading.Event()
"""Set when this process has committed a message: it wakes the thread that sends. Those of others look now and then."""


class Taken(NamedTuple):
    """A message that this worker has taken."""

    id: str
    what: str
    tries: int
    """This one included."""
    content: bytes

    def rows(self) -> "QuerySet[PendingMessage]":
        """Select its row, if it is still this worker's."""
        return PendingMessage.objects.filter(pk=self.id, tries=self.tries, given_up_at=None)


class Backlog(NamedTuple):
    """What waits."""

    waiting: int
    longest_wait: float
    """Of the oldest one; seconds."""


def send_after_commit(message: Message, *, what: str) -> None:
    """Write a message into the table, to be sent when the caller's transaction has committed; `what` is its template.

    Its headers are made here, once: a mailbox that gets it twice can tell by its `Message-ID`. That names the portal's
    host, and not the machine as Python's own would.
    """
    row = PendingMessage(what=what)
    host = urlsplit(settings.KEYPORTAL_URL).hostname
    headers = {"Message-ID": f"<{row.pk}@{host}>", "Date": formatdate()}
    content = json.dumps({"message": asdict(message), "headers": headers})
    row.content = seal(sealing_ring(), content, _context(row.pk, what))
    row.save(force_insert=True)
    transaction.on_commit(written.set, robust=True)


def is_any_due() -> bool:
    """Return whether there is something to take."""
    return _due().exists()


def take(*, during: timedelta) -> Taken | None:
    """Take the message that has been due for longest, for so long; None if there is none that nobody else takes."""
    for pk in list(_due().order_by("due_at").values_list("pk", flat=True)[:CANDIDATES]):
        if (taken := _take(pk, during)) is not None:
            return taken
    return None


def unsealed(taken: Taken) -> EmailMessage:
    """Return what is to be sent. Raises `vault.errors.VaultError` for what this portal did not write into this row."""
    members: dict[str, Any] = json.loads(unseal(sealing_ring(), taken.content, _context(taken.id, taken.what)))
    return Message(**members["message"]).as_email(members["headers"])


def remove(ids: set[str]) -> None:
    """Remove messages that have left."""
    PendingMessage.objects.filter(pk__in=ids).delete()


def put_back(taken: Taken, error: Exception) -> bool:
    """Have a message tried again later; return whether it will be. The last try ends it, and so does a broken seal."""
    if isinstance(error, SealBrokenError):
        logger.error("integrity_violation: what is in %s was not written for it", taken.id)
    elif taken.tries < TRIES:
        logger.warning("mail_delayed: %s (%s, try %d): %s", taken.what, taken.id, taken.tries, _in_short(error))
        taken.rows().update(due_at=Now() + DELAYS[taken.tries - 1])
        return True
    said = _in_short(error)
    logger.error("mail_unsent: %s (%s, try %d): %s", taken.what, taken.id, taken.tries, said, exc_info=error)
    _give_up(taken.rows())
    return False


def give_up_hopeless() -> int:
    """Give up what no server took for days, and what ended the process at each of its tries; return how many."""
    over = Q(tries__gte=TRIES) | Q(created_at__lt=Now() - LONGEST_WAIT)
    given_up = 0
    for pk, what in _due().filter(over).values_list("pk", "what"):
        if _give_up(_due().filter(pk=pk)):
            logger.error("mail_unsent: %s (%s)", what, pk)
            given_up += 1
    return given_up


def backlog() -> Backlog:
    """Return how many messages wait, and for how long the oldest one has."""
    waiting = PendingMessage.objects.filter(given_up_at=None)
    found: dict[str, Any] = waiting.aggregate(count=Count("pk"), oldest=Min("created_at"))
    oldest: datetime | None = found["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    return Backlog(found["count"], max(age, 0.0))


def _context(id_: str, what: str) -> tuple[str, str, str]:
    return "pending message", id_, what


def _due() -> "QuerySet[PendingMessage]":
    return PendingMessage.objects.filter(given_up_at=None, due_at__lte=Now())


def _take(pk: str, during: timedelta) -> Taken | None:
    """Take a message, unless another worker does. Who writes in the database may have put anything into its row."""
    read = _due().filter(pk=pk).values_list("what", "tries", "content").first()
    if read is None or not isinstance(read[1], int):
        return None
    taken = Taken(pk, str(read[0]), read[1] + 1, seal_of(read[2]))
    with transaction.atomic():
        free = PendingMessage.objects.filter(pk=pk, tries=read[1], tries__lt=TRIES, given_up_at=None)
        if free.update(tries=F("tries") + 1, due_at=Now() + during) != 1:
            return None
        insist(taken.rows())  # one whose tries did not grow would be sent for ever
    return taken


def _in_short(error: Exception) -> str:
    """Return what kind of error it is, and the mail server's code: its words would quote an address."""
    codes: list[int] = []
    if isinstance(error, SMTPResponseException):
        codes = [error.smtp_code]
    elif isinstance(error, SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    return " ".join([type(error).__name__, *map(str, codes)])


def _give_up(rows: "QuerySet[PendingMessage]") -> bool:
    return bool(rows.update(given_up_at=Now(), content=None))


# A forked process has an event of its own: a thread that did not come along may have held its lock.
os.register_at_fork(after_in_child=written.__init__)  # type: ignore[misc]  # the object is known by name elsewhere
