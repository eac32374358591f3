"""Limits on guesses at a password or a code, for the place that a guess comes from and for the account.

A place from which the account has logged in before has a count of its own, which strangers can't use up. From all
other places, wrong guesses bring a growing delay for the account, and a link by e-mail makes a browser a known place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.http import HttpRequest

from accounts.attempts import AttemptLimit, GrowingDelay, TooManyAttemptsError
from accounts.devices import known_device
from accounts.places import bucket_of, known_place

OF_ADDRESS: Final = AttemptLimit("KEYPORTAL_LIMIT_LOGIN_ADDRESS", "Too many failed log-ins from your network.")
OF_PLACE: Final = AttemptLimit("KEYPORTAL_LIMIT_LOGIN_PLACE", "Too many wrong passwords for this account from here.")
OF_ACCOUNT: Final = GrowingDelay(
    "KEYPORTAL_LIMIT_LOGIN_ACCOUNT",
    "Someone has been guessing passwords for this account from places where it was never used.",
)
CODES_OF_PLACE: Final = AttemptLimit("KEYPORTAL_LIMIT_CODE_PLACE", "Too many wrong codes for this account from here.")
CODES_OF_ACCOUNT: Final = GrowingDelay(
    "KEYPORTAL_LIMIT_CODE_ACCOUNT",
    "Someone has been guessing codes for this account from places where it was never used.",
)


class AccountDelayedError(TooManyAttemptsError):
    """Log-ins to the account from new places must wait. The page offers a link that makes this browser a known one."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An attempt, with all limits that it counts against."""

    counted: Sequence[tuple[AttemptLimit | GrowingDelay, str]]

    def enforce(self) -> None:
        """Count the attempt before it is checked, so that a burst of guesses can't outrun the count.

        Raises `TooManyAttemptsError` for the limit with the longest wait. Then no limit counts the attempt, so that
        another limit is not used up when the wait is over.
        """
        with transaction.atomic():
            waits = [(limit.hit(key), limit) for limit, key in self.counted]
            wait, limit = max(waits, key=lambda waiting: waiting[0])
            if wait:
                transaction.set_rollback(True)
        if wait:
            kind = AccountDelayedError if isinstance(limit, GrowingDelay) else TooManyAttemptsError
            raise kind(limit.message, wait)

    def was_right(self) -> None:
        """Take the attempt back from all limits, because it was right."""
        for limit, key in self.counted:
            limit.refund(key)


def password_guess(request: HttpRequest, email: str) -> Guess:
    """Return a guess at the password of the account with this address, which may not exist. Used at every entry point.

    A known device of the account does not count against its network's limit, so that its user can log in from a network
    shared with strangers, or with a thousand colleagues.
    """
    place, here = known_place(request, email), bucket_of(request)
    counted: list[tuple[AttemptLimit | GrowingDelay, str]] = [(OF_PLACE, f"{email} {place or here}")]
    if known_device(request, email) is None:
        counted.append((OF_ADDRESS, here))
    return Guess(counted if place else [*counted, (OF_ACCOUNT, email)])


def code_guess(request: HttpRequest, email: str) -> Guess:
    """Return a guess at the second factor of an account whose password was right."""
    place, here = known_place(request, email), bucket_of(request)
    counted: list[tuple[AttemptLimit | GrowingDelay, str]] = [(CODES_OF_PLACE, f"{email} {place or here}")]
    return Guess(counted if place else [*counted, (CODES_OF_ACCOUNT, email)])
