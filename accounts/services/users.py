"""Services for accounts: create, confirm, switch off and on, close, and end sessions and tokens."""

from collections.abc import Callable, Mapping
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.issuing import refuse_while_suspended
from accounts.models import User
from accounts.passwords import normalize_password
from accounts.signals import signed_out
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import swap, until_unchanged
from vault.secret_format import new_id

Changes = Mapping[str, Any]


@transaction.atomic
def create_user(*, email: str, password: str | None, confirmed: bool, operator: bool = False, origin: Origin) -> User:
    """Create an account for another person and return it. Raises `django.db.IntegrityError` if the address is taken."""
    user = User.objects.create_user(
        email, password, is_staff=operator, is_superuser=operator, confirmed_at=timezone.now() if confirmed else None
    )
    mirror_address(user, verified=confirmed)
    subject = f"user:{user.pk}"
    record_event(EventType.USER_CREATED, subject=subject, origin=origin, confirmed=confirmed, operator=operator)
    return user


@transaction.atomic
def sign_up(*, email: str, password: str, origin: Origin) -> User | None:
    """Insert an unconfirmed user and return it; None if the address has an account.

    If the address is taken, the same rows are inserted for an impossible address and rolled back to a savepoint. If it
    is free, the same statement rolls back to a later savepoint, and so undoes nothing. So timing reveals nothing.
    Raises `accounts.errors.IssuingSuspendedError`.
    """
    refuse_while_suspended()
    user = User(email=email, password=make_password(normalize_password(password)))
    taken = User.objects.filter(email=email).exists()
    try:
        with transaction.atomic():
            before = transaction.savepoint()
            if taken:
                user.email = f"{user.pk.lower()}@taken.invalid"
            user.save(force_insert=True)
            EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=False)
            record_event(EventType.SIGNED_UP, subject=f"user:{user.pk}", origin=origin)
            after = transaction.savepoint()
            transaction.savepoint_rollback(before if taken else after)
    except IntegrityError:  # another request was faster
        return None
    return None if taken else user


@transaction.atomic
def confirm_user(*, user: User, origin: Origin) -> bool:
    """Mark the address confirmed, so that the user's keys are accepted. Return False if it was.

    Raises `integrity.sealed.TamperedRowError`, as does every service here that grants something.
    """
    now = timezone.now()
    changed = change(user, lambda current: None if current.confirmed_at else {"confirmed_at": now})
    mirror_address(user, verified=True)
    return _record_change(EventType.EMAIL_CONFIRMED, changed, user, origin)


@transaction.atomic
def unconfirm_user(*, user: User, origin: Origin) -> bool:
    """Take the confirmation back. Keys and tokens are refused until the address is confirmed again."""
    changed = change(
        user, lambda current: {"confirmed_at": None, **next_epoch(current)} if current.confirmed_at else None
    )
    mirror_address(user, verified=False)
    return _record_change(EventType.EMAIL_UNCONFIRMED, changed, user, origin)


@transaction.atomic
def deactivate_user(*, user: User, origin: Origin) -> bool:
    """Switch an account off, so that no log-in, session, key or token works. Return False if it was off.

    An account that was changed outside the portal is switched off without a new seal, and so stays refused.
    """
    if not User.objects.get(pk=user.pk).seal_is_valid():
        changed = bool(User.objects.filter(pk=user.pk, is_active=True).update(is_active=False))
    else:
        changed = change(
            user, lambda current: {"is_active": False, **all_epochs(current)} if current.is_active else None
        )
    return _record_change(EventType.USER_DEACTIVATED, changed, user, origin)


@transaction.atomic
def reactivate_user(*, user: User, origin: Origin) -> bool:
    """Switch an account on, unless it was closed. Its keys work again, its earlier signed tokens do not."""
    changed = change(user, lambda current: None if current.is_active or current.closed_at else {"is_active": True})
    return _record_change(EventType.USER_REACTIVATED, changed, user, origin)


@transaction.atomic
def end_all_tokens(*, user: User, origin: Origin) -> bool:
    """End all signed tokens of the user at once, by raising the epoch."""
    return _record_change(EventType.TOKENS_ENDED, change(user, next_epoch), user, origin)


@transaction.atomic
def sign_out_everywhere(*, user: User, origin: Origin) -> bool:
    """End all sessions and signed tokens of the user. The caller must bind the current session again to keep it."""
    return _record_change(EventType.SIGNED_OUT_EVERYWHERE, change(user, all_epochs), user, origin)


@transaction.atomic
def end_session(*, session: UserSession, origin: Origin) -> None:
    """End the session of one browser."""
    session.end()
    record_event(EventType.SESSION_ENDED, subject=f"user:{session.user_id}", origin=origin, address=session.ip)
    signed_out.send(User, user=session.user, origin=origin)


@transaction.atomic
def erase_user(*, user: User, origin: Origin) -> bool:
    """Close an account: delete personal data, and keep an anonymous row for the audit trail and tombstones.

    Return False if it was closed. The caller must end its keys and tokens.
    """
    now, placeholder = timezone.now(), f"{new_id('closed').lower()}@closed.invalid"

    def erase(current: User) -> Changes | None:
        personal = {"email": placeholder, "password": make_password(None), "closed_at": now, "confirmed_at": None}
        roles = {"is_active": False, "is_staff": False, "is_superuser": False}
        return None if current.closed_at else {**personal, **roles, **next_epoch(current)}

    changed = change(user, erase)
    if changed:
        end_sessions(user)
        user.mailed_links.all().delete()
        user.email_preferences.all().delete()
        user.user_permissions.clear()
        user.groups.clear()
        for factor in Authenticator.objects.filter(user=user):
            factor.delete()
        EmailAddress.objects.filter(user=user).delete()
    return _record_change(EventType.ACCOUNT_CLOSED, changed, user, origin)


def mirror_address(user: User, *, verified: bool) -> None:
    """Make django-allauth's own table agree with ours: the account has this one address, and no other account has it.

    No code reads that table, and stray rows in it are replaced.
    """
    EmailAddress.objects.filter(Q(user=user) | Q(email=user.email)).delete()
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=verified)


def end_sessions(user: User) -> None:
    """End the user's sessions in all browsers."""
    for session in UserSession.objects.filter(user=user):
        session.end()


def change(user: User, changes: Callable[[User], Changes | None]) -> bool:
    """Write the changes that `changes` returns for the current row, also to `user`. Return False if it returns None.

    Raises `integrity.sealed.TamperedRowError`.
    """
    for current in until_unchanged(User, user.pk):
        changed = changes(current)
        if changed is None:
            return False
        if swap(current, changed):
            for field, value in {**changed, "seal": current.seal}.items():
                setattr(user, field, value)
            break
    return True


def next_epoch(current: User) -> Changes:
    """Return the change that ends all signed tokens."""
    return {"auth_epoch": current.auth_epoch + 1}


def all_epochs(current: User) -> Changes:
    """Return the change that ends all sessions and signed tokens."""
    return {**next_epoch(current), "session_epoch": current.session_epoch + 1}


def _record_change(verb: EventType, changed: bool, user: User, origin: Origin) -> bool:
    if changed:
        record_event(verb, subject=f"user:{user.pk}", origin=origin)
    return changed
