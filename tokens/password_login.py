"""Log in by password without a browser.

Wrong guesses count together with those at the portal's own log-in (`accounts.guessing`): an attacker gets no second set
of attempts here, and can't lock owners out of the places where they work.
"""

from typing import Final

from django.contrib.auth import authenticate
from django.http import HttpRequest

from accounts.attempts import AttemptLimit, TooManyAttemptsError
from accounts.backends import has_valid_seals
from accounts.emails import normalize_email
from accounts.guessing import password_guess
from accounts.models import User
from accounts.second_factor import has_second_factor
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.refusals import Refusal, RefusedError
from tokens.basic import invalid_login

SUCCESSES: Final = AttemptLimit("KEYPORTAL_LIMIT_TOKENS", "Too many log-ins to this account.")


def log_in(request: HttpRequest, email: str, password: str) -> User:
    """Return the confirmed, active user without a second factor who has this password.

    Raises `RefusedError`: `invalid_login` for an unknown account, a wrong password and an inactive account alike;
    `rate_limit_refusal`; and, only with the right password, `account_unconfirmed` and `mfa_required`.
    """
    email = normalize_email(email)
    guess = password_guess(request, email)
    try:
        guess.enforce()
    except TooManyAttemptsError as above:
        raise rate_limit_refusal(above.retry_after) from None
    user = authenticate(request, email=email, password=password)
    if not isinstance(user, User) or not has_valid_seals(user):
        _record_failed_log_in(request, email)
        raise invalid_login()
    guess.was_right()
    if wait := SUCCESSES.hit(user.pk):
        raise rate_limit_refusal(wait)
    if not user.is_confirmed:
        raise RefusedError(Refusal(code="account_unconfirmed"))
    if has_second_factor(user):
        raise RefusedError(Refusal(code="mfa_required"))
    return user


def rate_limit_refusal(wait: int) -> RefusedError:
    """Return the refusal for an exhausted limit; `wait` is in seconds."""
    return RefusedError(Refusal(code="rate_limited", retry_after=wait))


def _record_failed_log_in(request: HttpRequest, email: str) -> None:
    """Record the failed log-in, even for an unknown address: the time of writing would reveal which accounts exist."""
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first() or "unknown"
    origin = Origin.of_request(request, actor="anonymous")
    record_event(EventType.LOGIN_FAILED, subject=f"user:{user_id}", origin=origin)
