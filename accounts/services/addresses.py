"""E-mail addresses: proved by a link, changed, taken back. An address counts as an account's once it is confirmed.

Who proves an address wins over who typed it: an account that never confirmed it gives it up.
"""

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts import link_mail, links
from accounts.audit import record
from accounts.errors import AddressTakenError, LinkOverError
from accounts.models import MailedLink, User
from accounts.origin import Origin
from accounts.services.users import all_epochs, change, end_sessions, mirror_address
from accounts.undoing import end_undos, suspect_since
from vault.secret_format import new_id


@transaction.atomic
def confirm_by_link(*, link: MailedLink, origin: Origin) -> User:
    """Use the link of a sign-up up and note that its reader owns the address. Raises `LinkOverError`."""
    user = link.user
    if user is None or link.email != user.email or not links.spend(link):
        raise LinkOverError
    change(user, lambda current: None if current.confirmed_at else {"confirmed_at": timezone.now()})
    mirror_address(user, verified=True)
    record("email_confirmed", subject=f"user:{user.pk}", origin=origin)
    return user


@transaction.atomic
def request_change(*, user: User, email: str, origin: Origin) -> None:
    """Send the link that makes this the account's address, in place of any that waits.

    Nothing of the account changes before it is followed. Raises `accounts.attempts.TooManyAttemptsError`.
    """
    taken = User.objects.filter(email=email).exclude(pk=user.pk).exclude(confirmed_at=None).exists()
    record("email_change_requested", subject=f"user:{user.pk}", origin=origin)
    link_mail.send_change(user=user, email=email, taken=taken)


@transaction.atomic
def cancel_change(*, user: User, origin: Origin) -> bool:
    """Let a change that waits for its link go. False if there is none."""
    withdrawn = bool(links.withdraw(user, links.CHANGE))
    if withdrawn:
        record("email_change_cancelled", subject=f"user:{user.pk}", origin=origin)
    return withdrawn


@transaction.atomic
def confirm_change(*, link: MailedLink, origin: Origin) -> User:
    """Use the link up and make its address the account's. The old one is told, and can take it back for a week.

    The caller has seen that it is the account's own session that asks. Raises `LinkOverError`, `AddressTakenError`.
    """
    user = _held(link)
    if user is None or not links.spend(link):
        raise LinkOverError
    before = user.email
    _take(user, link.email)
    links.withdraw(user, links.RESET, links.UNLOCK, links.CONFIRM)
    record("email_changed", subject=f"user:{user.pk}", origin=origin)
    link_mail.send_undo(user=user, email=before)
    return user


@transaction.atomic
def undo_change(*, link: MailedLink, origin: Origin) -> User:
    """Use the link up and give the account back to its old address; who changed it is thrown out, and can't undo that.

    Sessions, tokens, the password, and second factors from the week before the change or since end: they may be
    somebody else's. Older second factors stay: the old mailbox may be in other hands. Both addresses are told. Raises
    `LinkOverError`, `AddressTakenError`.
    """
    user, since = _held(link), suspect_since(link)
    if user is None or user.closed_at or not links.spend(link):
        raise LinkOverError
    lost = user.email
    _take(user, link.email)
    unusable = make_password(None)
    change(user, lambda current: {"password": unusable, **all_epochs(current)})
    end_sessions(user)
    ended = end_undos(user, link.issued_at)
    links.withdraw(user, links.RESET, links.UNLOCK, links.CONFIRM, links.CHANGE)
    removed = _remove_factors(user, since)
    details = {"links_ended": ended, "second_factors_removed": removed}
    record("email_change_undone", subject=f"user:{user.pk}", origin=origin, **details)
    link_mail.send_undone(lost=lost, back=user.email, since=since)
    return user


def _held(link: MailedLink) -> User | None:
    """Return the link's account as it stands, locked: of a change and its undoing at once one comes after the other."""
    return User.objects.select_for_update().filter(pk=link.user_id).first()


def _remove_factors(user: User, since: datetime) -> int:
    """Remove the second factors from then on, and recovery codes if they would be all that is left; return how many."""
    factors = Authenticator.objects.filter(user=user)
    over = list(factors.filter(created_at__gte=since))
    for factor in over:
        factor.delete()  # each by itself: what seals the rest anew hears of it
    if not factors.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
        for codes in factors:
            codes.delete()
    return len(over)


def _take(user: User, email: str) -> None:
    """Make a proved address the account's. Raises `AddressTakenError` if another one has proved it."""
    other = User.objects.select_for_update().filter(email=email).exclude(pk=user.pk).first()
    if other is not None:
        if other.confirmed_at:
            raise AddressTakenError("This address belongs to another account by now.")
        nobody = f"{new_id('released').lower()}@released.invalid"
        change(other, lambda _: {"email": nobody})
        EmailAddress.objects.filter(user=other).delete()
        record("email_released", subject=f"user:{other.pk}", origin=Origin(actor="system"))
    change(user, lambda _: {"email": email, "confirmed_at": timezone.now()})
    mirror_address(user, verified=True)
