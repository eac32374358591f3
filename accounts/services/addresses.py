"""Services for e-mail addresses: confirm by link, change, undo. An address is an account's once it is confirmed.

The user who proves an address wins over one who typed it: an account that never confirmed the address loses it.
"""

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts import link_mail, links
from accounts.errors import AddressTakenError, InvalidLinkError
from accounts.models import MailedLink, User
from accounts.services.users import all_epochs, change, end_sessions, mirror_address
from accounts.undo_links import end_undos, suspect_since
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from vault.secret_format import new_id


@transaction.atomic
def confirm_by_link(*, link: MailedLink, origin: Origin) -> User:
    """Use up the link of a sign-up and mark the address confirmed; return the user. Raises `InvalidLinkError`."""
    user = link.user
    if user is None or link.email != user.email or not links.spend(link):
        raise InvalidLinkError
    change(user, lambda current: None if current.confirmed_at else {"confirmed_at": timezone.now()})
    mirror_address(user, verified=True)
    record_event(EventType.EMAIL_CONFIRMED, subject=f"user:{user.pk}", origin=origin)
    return user


@transaction.atomic
def request_change(*, user: User, email: str, origin: Origin) -> None:
    """Send the link that makes this the account's address, replacing a pending one.

    The account does not change until the user follows it. Raises `accounts.attempts.TooManyAttemptsError`.
    """
    taken = User.objects.filter(email=email).exclude(pk=user.pk).exclude(confirmed_at=None).exists()
    record_event(EventType.EMAIL_CHANGE_REQUESTED, subject=f"user:{user.pk}", origin=origin)
    link_mail.send_change(user=user, email=email, taken=taken)


@transaction.atomic
def cancel_change(*, user: User, origin: Origin) -> bool:
    """Cancel a pending change. Return False if there is none."""
    withdrawn = bool(links.withdraw(user, links.CHANGE))
    if withdrawn:
        record_event(EventType.EMAIL_CHANGE_CANCELLED, subject=f"user:{user.pk}", origin=origin)
    return withdrawn


@transaction.atomic
def confirm_change(*, link: MailedLink, origin: Origin) -> User:
    """Use the link up, make its address the account's and return the user. The old address can undo this for a week.

    The caller must check that the request has the account's own session. Raises `InvalidLinkError`,
    `AddressTakenError`.
    """
    user = _lock_account(link)
    if user is None or not links.spend(link):
        raise InvalidLinkError
    before = user.email
    _assign_address(user, link.email)
    links.withdraw(user, links.RESET, links.UNLOCK, links.CONFIRM)
    record_event(EventType.EMAIL_CHANGED, subject=f"user:{user.pk}", origin=origin)
    link_mail.send_undo(user=user, email=before)
    return user


@transaction.atomic
def undo_change(*, link: MailedLink, origin: Origin) -> User:
    """Use the link up, give the account back to its old address and end all access of the person who changed it.

    Sessions, tokens, the password, links that would undo this, and second factors added since a week before the change
    all end, because they may be an intruder's. Older second factors stay, because the old mailbox may be in other
    hands. Both addresses are notified. Return the user. Raises `InvalidLinkError`, `AddressTakenError`.
    """
    user, since = _lock_account(link), suspect_since(link)
    if user is None or user.closed_at or not links.spend(link):
        raise InvalidLinkError
    lost = user.email
    _assign_address(user, link.email)
    unusable = make_password(None)
    change(user, lambda current: {"password": unusable, **all_epochs(current)})
    end_sessions(user)
    ended = end_undos(user, link.issued_at)
    links.withdraw(user, links.RESET, links.UNLOCK, links.CONFIRM, links.CHANGE)
    removed = _remove_factors(user, since)
    details = {"links_ended": ended, "second_factors_removed": removed}
    record_event(EventType.EMAIL_CHANGE_UNDONE, subject=f"user:{user.pk}", origin=origin, **details)
    link_mail.send_undone(lost=lost, back=user.email, since=since)
    return user


def _lock_account(link: MailedLink) -> User | None:
    """Return the link's account as it is now, locked, so that a change and its undoing can't run at the same time."""
    return User.objects.select_for_update().filter(pk=link.user_id).first()


def _remove_factors(user: User, since: datetime) -> int:
    """Remove second factors added since then, and recovery codes if nothing else is left; return how many factors."""
    factors = Authenticator.objects.filter(user=user)
    newer = list(factors.filter(created_at__gte=since))
    for factor in newer:
        factor.delete()  # one by one: the signals of each deletion seal the rest again
    if not factors.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
        for codes in factors:
            codes.delete()
    return len(newer)


def _assign_address(user: User, email: str) -> None:
    """Make a proved address the account's. Raises `AddressTakenError` if another account has confirmed it."""
    other = User.objects.select_for_update().filter(email=email).exclude(pk=user.pk).first()
    if other is not None:
        if other.confirmed_at:
            raise AddressTakenError("This address now belongs to another account.")
        placeholder = f"{new_id('released').lower()}@released.invalid"
        change(other, lambda _: {"email": placeholder})
        EmailAddress.objects.filter(user=other).delete()
        record_event(EventType.EMAIL_RELEASED, subject=f"user:{other.pk}", origin=Origin(actor="system"))
    change(user, lambda _: {"email": email, "confirmed_at": timezone.now()})
    mirror_address(user, verified=True)
