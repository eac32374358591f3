"""The verbs of accounts: the only place that writes users. Each is one transaction and one audit event."""

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.audit import record
from accounts.models import AuditEvent, AuditRemoval, User
from accounts.origin import Origin
from accounts.passwords import normalize_password
from accounts.trail import note_removal


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


def remove_expired_events(*, origin: Origin, batch: int, batches: int | None = None) -> int:
    """Remove events of the trail whose time is over, at most so many in a transaction; return how many.

    One event tells how many there were and from when to when: what a removal that broke off had taken, too.
    """
    removed = rounds = 0
    while batches is None or rounds < batches:
        taken = _remove_some_events(batch)
        removed += taken
        rounds += 1
        if taken < batch:
            break
    _tell_of_removal(origin)
    return removed


@transaction.atomic
def _remove_some_events(batch: int) -> int:
    over = AuditEvent.objects.filter(keep_until__lt=Now()).order_by("pk")
    events = dict(over.select_for_update(skip_locked=True).values_list("pk", "at")[:batch])
    if not events:
        return 0
    note_removal(events)
    AuditEvent.objects.filter(pk__in=list(events)).delete()
    so_far = AuditRemoval.objects.get(pk=1)  # held since the link was added
    times = [at for at in (so_far.earliest, so_far.latest, *events.values()) if at]
    counted = {"count": so_far.count + len(events), "earliest": min(times), "latest": max(times)}
    AuditRemoval.objects.filter(pk=1).update(**counted)
    return len(events)


@transaction.atomic
def _tell_of_removal(origin: Origin) -> None:
    told = AuditRemoval.objects.select_for_update().filter(count__gt=0).first()
    if told is None or told.earliest is None or told.latest is None:
        return
    span = {"earliest": told.earliest.isoformat(), "latest": told.latest.isoformat()}
    record("events_removed", subject="trail:audit", origin=origin, count=told.count, **span)
    AuditRemoval.objects.filter(pk=1).update(count=0, earliest=None, latest=None)


def _next_epoch() -> dict[str, object]:
    return {"auth_epoch": F("auth_epoch") + 1}


def _recorded(verb: str, changed: int, user: User, origin: Origin) -> bool:
    if changed:
        record(verb, subject=f"user:{user.pk}", origin=origin)
    return bool(changed)
