"""The message about a log-in with a browser or a program that the account does not know."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from accounts.link_mail import absolute, after_commit
from accounts.message_kinds import MessageKind
from accounts.models import User
from accounts.names import printable, without_links
from accounts.places import log_ins
from accounts.preferences import is_wanted
from audit.origin import Origin

MAX_AGENT: Final = 200
"""Characters that a message quotes of what a browser or a program calls itself."""


def was_used_before(user: User) -> bool:
    """Return whether anyone has logged in to this account before. The caller has not recorded the new log-in yet.

    Where events expire, that is not known of an account older than they become: it counts as used.
    """
    kept = settings.KEYPORTAL_AUDIT_DAYS
    if kept and user.joined_at < timezone.now() - timedelta(days=kept):
        return True
    return log_ins(user.pk).exists()


def send_new_device(*, user: User, agent: str, is_program: bool, origin: Origin) -> None:
    """Notify a user of a log-in with a new browser or program, unless they switched that off."""
    if not is_wanted(user, MessageKind.NEW_DEVICE):
        return
    after_commit(
        "new_device",
        user.email,
        agent=displayed_agent(agent),
        is_program=is_program,
        origin=origin,
        at=timezone.now(),
        password_url=absolute("account_change_password"),
        sessions_url=absolute("usersessions_list"),
        history_url=absolute("account_history"),
        preferences_url=absolute("account_emails"),
    )


def displayed_agent(agent: str) -> str:
    """Return what a browser or a program calls itself, as a message may quote it: short, visible and without links."""
    return without_links(printable(agent))[:MAX_AGENT] or "unknown"
