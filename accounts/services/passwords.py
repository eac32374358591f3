"""Services for passwords: set by a logged-in user, or reset through the account's mailbox."""

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts import links
from accounts.errors import InvalidLinkError
from accounts.models import MailedLink, User
from accounts.passwords import normalize_password
from accounts.services.users import change, mirror_address, next_epoch
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event


@transaction.atomic
def set_password(*, user: User, password: str, origin: Origin) -> None:
    """Set the password. This ends the user's signed tokens, and (by Django's session hash) their other sessions.

    Links that would set a password or unlock a browser become invalid.
    """
    hashed = make_password(normalize_password(password))
    change(user, lambda current: {"password": hashed, **next_epoch(current)})
    links.withdraw(user, links.RESET, links.UNLOCK)
    record_event(EventType.PASSWORD_SET, subject=f"user:{user.pk}", origin=origin)


@transaction.atomic
def reset_password(*, link: MailedLink | None, password: str, origin: Origin) -> User:
    """Use up the link of a reset, set the password and return the user. Following the link also confirms the address.

    Raises `InvalidLinkError`.
    """
    user = link.user if link is not None else None
    if link is None or user is None or link.email != user.email or not links.spend(link):
        raise InvalidLinkError
    set_password(user=user, password=password, origin=origin)
    if not user.confirmed_at:
        change(user, lambda _: {"confirmed_at": timezone.now()})
        mirror_address(user, verified=True)
        record_event(EventType.EMAIL_CONFIRMED, subject=f"user:{user.pk}", origin=origin)
    return user


@transaction.atomic
def unlock_browser(*, link: MailedLink, origin: Origin) -> User:
    """Use up the link that makes a browser a known place; return its user. Raises `InvalidLinkError`."""
    user = link.user
    if user is None or link.email != user.email or not links.spend(link):
        raise InvalidLinkError
    record_event(EventType.BROWSER_UNLOCKED, subject=f"user:{user.pk}", origin=origin)
    return user
