"""The verbs of accounts: the only place that writes users. Each is one transaction and one audit event."""

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.audit import record
from accounts.models import User
from accounts.origin import Origin
from accounts.passwords import normalize_password


@transaction.atomic
def create_user(*, email: str, password: str | None, confirmed: bool, operator: bool = False, origin: Origin) -> User:
    """Make an account on somebody's behalf. Raises `django.db.IntegrityError` if the address is taken."""
    user = User.objects.create_user(
        email, password, is_staff=operator, is_superuser=operator, confirmed_at=timezone.now() if confirmed else None
    )
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=confirmed)
    record("user_created", subject=f"user:{user.pk}", origin=origin, confirmed=confirmed, operator=operator)
    return user


@transaction.atomic
def sign_up(*, user: User, origin: Origin) -> User:
    """Insert the user that the sign-up form filled in. Raises `django.db.IntegrityError` if the address is taken."""
    user.save(force_insert=True)
    record("signed_up", subject=f"user:{user.pk}", origin=origin)
    return user


@transaction.atomic
def confirm_user(*, user: User, origin: Origin) -> bool:
    """Note that the user owns the address; False if that was known. From now on their keys are accepted."""
    changed = User.objects.filter(pk=user.pk, confirmed_at=None).update(confirmed_at=timezone.now())
    EmailAddress.objects.filter(user=user, email=user.email).update(verified=True)
    return _recorded("email_confirmed", changed, user, origin)


@transaction.atomic
def unconfirm_user(*, user: User, origin: Origin) -> bool:
    """Take the confirmation back: keys and tokens are refused until the address is confirmed again."""
    changed = User.objects.filter(pk=user.pk).exclude(confirmed_at=None).update(confirmed_at=None, **_next_epoch())
    EmailAddress.objects.filter(user=user).update(verified=False)
    return _recorded("email_unconfirmed", changed, user, origin)


@transaction.atomic
def deactivate_user(*, user: User, origin: Origin) -> bool:
    """Switch an account off: no log-in, no session, no key, no token. False if it was off."""
    changed = User.objects.filter(pk=user.pk, is_active=True).update(is_active=False, **_next_epoch())
    return _recorded("user_deactivated", changed, user, origin)


@transaction.atomic
def reactivate_user(*, user: User, origin: Origin) -> bool:
    """Switch an account on again. Its keys work again; signed tokens from before do not."""
    changed = User.objects.filter(pk=user.pk, is_active=False).update(is_active=True)
    return _recorded("user_reactivated", changed, user, origin)


@transaction.atomic
def end_all_tokens(*, user: User, origin: Origin) -> bool:
    """End every signed token of the user at once, by raising their epoch."""
    changed = User.objects.filter(pk=user.pk).update(**_next_epoch())
    return _recorded("tokens_ended", changed, user, origin)


@transaction.atomic
def end_session(*, session: UserSession, origin: Origin) -> None:
    """End one browser's session."""
    session.end()
    record("session_ended", subject=f"user:{session.user_id}", origin=origin, address=session.ip)


@transaction.atomic
def set_password(*, user: User, password: str, origin: Origin) -> None:
    """Set the password. It ends the user's signed tokens, and (by Django's session hash) their other sessions."""
    user.password = make_password(normalize_password(password))
    changed = User.objects.filter(pk=user.pk).update(password=user.password, **_next_epoch())
    _recorded("password_set", changed, user, origin)


def _next_epoch() -> dict[str, object]:
    return {"auth_epoch": F("auth_epoch") + 1}


def _recorded(verb: str, changed: int, user: User, origin: Origin) -> bool:
    if changed:
        record(verb, subject=f"user:{user.pk}", origin=origin)
    return bool(changed)
