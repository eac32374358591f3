"""Hand due messages over to the mail server, one after the other, over one connection.

A message is claimed only after the server has answered. So a server that is away, or accepts connections and says
nothing, uses up no tries, and each waiting message is sent once when it is back. Nothing is sent within a transaction.
"""

import os
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Final

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from accounts import pending
from accounts.pending import ClaimedMessage
from integrity.key_check import RingMisfitError

AT_ONCE: Final = 50
"""Messages over one connection, because servers close a connection that goes on for too long."""
ANSWER: Final = 30
"""The least number of seconds to wait for each of a server's replies about a message, which it may scan for viruses.

With a shorter timeout, a message that was accepted already would be sent again. No request waits meanwhile.
"""
ANSWERS: Final = 5  # to MAIL, RCPT, DATA, the message itself, RSET


@dataclass
class Counts:
    """Counts of messages and tries in this process since it began."""

    sent: int = 0
    failed: int = 0
    """Tries in which the server did not accept the message."""
    given_up: int = 0


@dataclass
class _SentMessages:
    """Sent messages whose rows are not deleted yet."""

    ids: set[str] = field(default_factory=set)

    def remove(self) -> None:
        """Delete their rows. Raises `django.db.Error`; then they are deleted before anything else is sent."""
        if self.ids:
            pending.remove(self.ids)
            self.ids.clear()


@cache
def counts() -> Counts:
    """Return the counts of this process."""
    return Counts()


@cache
def _sent_messages() -> _SentMessages:
    return _SentMessages()


os.register_at_fork(after_in_child=counts.cache_clear)
os.register_at_fork(after_in_child=_sent_messages.cache_clear)


def send_due(*, is_ending: Callable[[], bool] = lambda: False) -> bool:
    """Send due messages; return whether there may be more. A process that is ending takes no new ones.

    Raises OSError if the mail server can't be reached or does not answer, `django.db.Error` if the database does not.
    """
    _sent_messages().remove()
    if is_ending() or not pending.is_any_due():
        return False
    with _listening_server() as server:
        for _ in range(AT_ONCE):
            claimed = None if is_ending() else pending.claim(during=_longest_hand_over())
            if claimed is None:
                return False
            if not _send(server, claimed):
                break  # a new connection comes next: this one's state is unknown
    return True


def give_up_hopeless() -> None:
    """Abandon the messages that can't be sent any more, and count them."""
    counts().given_up += pending.give_up_hopeless()


@contextmanager
def _listening_server() -> Iterator[BaseEmailBackend]:
    """Connect to the mail server, and wait until it is ready, at most for the timeout of `EMAIL_URL`.

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
        _wait_for(smtp, _timeout())
        yield server
        _wait_for(smtp, settings.EMAIL_TIMEOUT)  # for the reply to QUIT
    finally:
        server.close()


def _send(server: BaseEmailBackend, claimed: ClaimedMessage) -> bool:
    """Hand a message over and note the outcome; return whether the server accepted it."""
    try:
        server.send_messages([pending.unseal_message(claimed)])
    except RingMisfitError:
        raise
    except Exception as error:  # noqa: BLE001  # a fault in one message must not keep others from being sent
        counts().failed += 1
        counts().given_up += not pending.reschedule(claimed, error)
        return False
    counts().sent += 1
    _sent_messages().ids.add(claimed.id)
    _sent_messages().remove()
    return True


def _timeout() -> float:
    return max(ANSWER, settings.EMAIL_TIMEOUT or 0)


def _longest_hand_over() -> timedelta:
    return timedelta(seconds=ANSWERS * _timeout() + ANSWER)


def _wait_for(smtp: smtplib.SMTP, seconds: float | None) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)
