"""A log-in by password, without a browser.

Guessing is limited for an address, for an account from one address, and for an account from all addresses that it has
never been used from. So nobody can lock the owner out of the places where they work, nor guess from many at once.
"""

from django.contrib.auth import authenticate
from django.db.models import Q
from django.http import HttpRequest

from accounts.audit import record
from accounts.emails import normalize_email
from accounts.models import AuditEvent, User
from accounts.origin import Origin
from accounts.second_factor import has_second_factor
from credentials.refusals import Refusal, RefusedError
from credentials.throttle import Limit
from tokens.basic import invalid_login

OF_ADDRESS = Limit("log-ins of an address", 30, 300)
OF_ACCOUNT_AT_ADDRESS = Limit("log-ins to an account from an address", 10, 300)
OF_ACCOUNT = Limit("log-ins to an account from anywhere new", 100, 3600)
SUCCESSES = Limit("tokens for an account", 120, 3600)


def log_in(request: HttpRequest, email: str, password: str) -> User:
    """Give the confirmed, active user without a second factor whose password this is.

    Raises `RefusedError`: `invalid_login` alike for an unknown account, a wrong password and an inactive account,
    `rate_limited`; and, told only with the right password, `account_unconfirmed` and `mfa_required`.
    """
    address = request.META.get("REMOTE_ADDR", "")
    email = normalize_email(email)
    attempt = [(OF_ADDRESS, address), (OF_ACCOUNT_AT_ADDRESS, f"{email} {address}")]
    if not _known_address(email, address):
        attempt.append((OF_ACCOUNT, email))
    # Counted before the password is looked at, so that a burst of guesses can't all come before the first count.
    _refuse_above(max([limit.take(key) for limit, key in attempt]))
    user = authenticate(request, email=email, password=password)
    if not isinstance(user, User):
        _record_failure(request, email)
        raise invalid_login()
    for limit, key in attempt:
        limit.give_back(key)
    _refuse_above(SUCCESSES.take(user.pk))
    if not user.is_confirmed:
        raise RefusedError(Refusal(code="account_unconfirmed"))
    if has_second_factor(user):
        raise RefusedError(Refusal(code="mfa_required"))
    return user


def _known_address(email: str, address: str) -> bool:
    """Tell whether the account was logged in to from here before, in a browser or by this endpoint."""
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first()
    came_in = Q(verb="logged_in") | Q(verb="token_issued")
    return AuditEvent.objects.filter(came_in, actor=f"user:{user_id}", address=address or None).exists()


def _refuse_above(wait: int) -> None:
    if wait:
        raise RefusedError(Refusal(code="rate_limited", retry_after=wait))


def _record_failure(request: HttpRequest, email: str) -> None:
    """Write the failure down, for an address that nobody has as well: a stranger can measure the time of writing."""
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first() or "unknown"
    record("login_failed", subject=f"user:{user_id}", origin=Origin.of_request(request, actor="anonymous"))
