"""Handing messages over to the mail server: what is due, one after the other, over one connection.

The server is asked first whether it listens, and only then is a message taken: one that is away, or takes connections
and says nothing, uses up no try, and all that waits leaves once when it is back. Nothing is sent within a transaction.
"""

import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from accounts import pending
from accounts.pending import Taken

AT_ONCE: Final = 50
"""Messages over one connection: servers end one that goes on and on."""
ANSWER: Final = 30
"""Seconds for each of a server's answers about a message, at least: it may look for viruses before it takes one.

Whoever is less patient hands a message over that was taken already. Nobody's request waits meanwhile.
"""
ANSWERS: Final = 5  # to MAIL, RCPT, DATA, the message itself, RSET


@dataclass
class Counts:
    """What this process has sent since it began."""

    sent: int = 0
    failed: int = 0
    """Tries that ended without the server having taken the message."""
    given_up: int = 0


@dataclass
class _Sent:
    """Messages that have left, and whose rows the database has not removed yet."""

    ids: set[str] = field(default_factory=set)

    def remove(self) -> None:
        """Remove their rows. Raises `django.db.Error`; then they are removed before anything else is sent."""
        if self.ids:
            pending.remove(self.ids)
            self.ids.clear()


counts = Counts()
_sent = _Sent()


def send_due(*, is_ending: Callable[[], bool] = lambda: False) -> bool:
    """Send what is due; return whether there may be more. A process that is ending takes nothing new.

    Raises OSError if the mail server can't be reached or does not answer, `django.db.Error` if the database does not.
    """
    _sent.remove()
    if is_ending() or not pending.is_any_due():
        return False
    with _listening_server() as server:
        for _ in range(AT_ONCE):
            taken = None if is_ending() else pending.take(during=_longest_hand_over())
            if taken is None:
                return False
            if not _send(server, taken):
                break  # over a new connection: nobody knows what this one would say next
    return True


def give_up_hopeless() -> None:
    """Give up what waits in vain."""
    counts.given_up += pending.give_up_hopeless()


@contextmanager
def _listening_server() -> Iterator[BaseEmailBackend]:
    """Connect to the mail server, and wait for as long as `EMAIL_URL` says until it has said that it is ready.

    Raises OSError.
    """
    server = get_connection()
    try:
        server.open()
        smtp = getattr(server, "connection", None)
        if not isinstance(smtp, smtplib.SMTP):  # local mode writes files
            yield server
            return
        smtp.ehlo_or_helo_if_needed()
        _wait_for(smtp, _patience())
        yield server
        _wait_for(smtp, settings.EMAIL_TIMEOUT)  # for its farewell
    finally:
        server.close()


def _send(server: BaseEmailBackend, taken: Taken) -> bool:
    """Hand one message over, and note what became of it; return whether the server has taken it."""
    try:
        server.send_messages([pending.unsealed(taken)])
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one message keeps no other from leaving
        counts.failed += 1
        counts.given_up += not pending.put_back(taken, error)
        return False
    counts.sent += 1
    _sent.ids.add(taken.id)
    _sent.remove()
    return True


def _patience() -> float:
    return max(ANSWER, settings.EMAIL_TIMEOUT or 0)


def _longest_hand_over() -> timedelta:
    return timedelta(seconds=ANSWERS * _patience() + ANSWER)


def _wait_for(smtp: smtplib.SMTP, seconds: float | None) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)
