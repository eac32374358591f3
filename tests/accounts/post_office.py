"""Messages that wait, and a mail server at the other end of a wire."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.db.models.functions import Now
from pytest_django import Settings

from accounts.mail import Message
from accounts.models import PendingMessage
from accounts.pending import send_after_commit
from accounts.sending import send_due
from tests.mail_server import MailServer, mail_server

LINK: Final = "https://portal.test/accounts/password/reset/key/secret/"
WHILE: Final = timedelta(minutes=3)
SECOND: Final = timedelta(seconds=1)


@contextmanager
def wired_server(settings: Settings) -> Iterator[MailServer]:
    """Start a mail server that works, which this process then sends to."""
    with mail_server() as started:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", started.port, 5
        yield started


def write(to: str = "dev@example.com", *, what: str = "test") -> PendingMessage:
    """Write a message, in a transaction that the test never commits."""
    known = set(PendingMessage.objects.values_list("pk", flat=True))
    send_after_commit(Message(to=to, subject="A link", text=f"Here: {LINK}", html=f"<p>{LINK}</p>"), what=what)
    return PendingMessage.objects.exclude(pk__in=known).get()


def send_all() -> None:
    """Send what is due."""
    while send_due():
        continue


def let_time_pass() -> None:
    """Make everything due that waits for its time."""
    PendingMessage.objects.update(due_at=Now() - SECOND)


def database_time() -> datetime:
    """Return what the database's clock says; there must be a message."""
    now: datetime = PendingMessage.objects.annotate(now=Now()).values_list("now", flat=True)[0]
    return now
