"""What stands before every guess at a password or a code: limits for the place it comes from and for the account.

A place that an account was logged in to from before has a count of its own, which no stranger can use up. From
everywhere else an account's wrong guesses bring a delay that grows, and a link by e-mail makes a browser a known place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.http import HttpRequest

from accounts.attempts import AttemptLimit, GrowingDelay, TooManyAttemptsError
from accounts.devices import known_device
from accounts.places import bucket_of, known_place

OF_ADDRESS: Final = AttemptLimit("KEYPORTAL_LIMIT_LOGIN_ADDRESS", "Too many log-ins from your network have failed.")
OF_PLACE: Final = AttemptLimit("KEYPORTAL_LIMIT_LOGIN_PLACE", "Too many wrong passwords for this account from here.")
OF_ACCOUNT: Final = GrowingDelay(
    "KEYPORTAL_LIMIT_LOGIN_ACCOUNT",
    "Somebody has been guessing passwords for this account from places where it was never used.",
)
CODES_OF_PLACE: Final = AttemptLimit("KEYPORTAL_LIMIT_CODE_PLACE", "Too many wrong codes for this account from here.")
CODES_OF_ACCOUNT: Final = GrowingDelay(
    "KEYPORTAL_LIMIT_CODE_ACCOUNT",
    "Somebody has been guessing codes for this account from places where it was never used.",
)


class AccountDelayedError(TooManyAttemptsError):
    """Log-ins from new places wait. Their page offers the link that makes this browser a known one."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One attempt, and everything that it counts against."""

    counted: Sequence[tuple[AttemptLimit | GrowingDelay, str]]

    def enforce(self) -> None:
        """Count it before it is looked at, so that a burst can't all come before the first count.

        Raises `TooManyAttemptsError` for the limit that makes it wait longest, and counts against none of them then:
        whoever is kept waiting by one limit is not to find another one used up when the wait is over.
        """
        with transaction.atomic():
            waits = [(limit.hit(key), limit) for limit, key in self.counted]
            wait, limit = max(waits, key=lambda waiting: waiting[0])
            if wait:
                transaction.set_rollback(True)
        if wait:
            kind = AccountDelayedError if isinstance(limit, GrowingDelay) else TooManyAttemptsError
            raise kind(limit.words, wait)

    def was_right(self) -> None:
        """Take the counts back."""
        for limit, key in self.counted:
            limit.refund(key)


def password_guess(request: HttpRequest, email: str) -> Guess:
    """Return the attempt to log in to the account with this address, which may not exist; the same at every door.

    A browser that the account knows does not count against its network's limit: whoever shares that network with a
    stranger, or with a thousand colleagues, gets in.
    """
    place, here = known_place(request, email), bucket_of(request)
    counted: list[tuple[AttemptLimit | GrowingDelay, str]] = [(OF_PLACE, f"{email} {place or here}")]
    if known_device(request, email) is None:
        counted.append((OF_ADDRESS, here))
    return Guess(counted if place else [*counted, (OF_ACCOUNT, email)])


def code_guess(request: HttpRequest, email: str) -> Guess:
    """Return the attempt to prove the second factor of an account, whose password was right."""
    place, here = known_place(request, email), bucket_of(request)
    counted: list[tuple[AttemptLimit | GrowingDelay, str]] = [(CODES_OF_PLACE, f"{email} {place or here}")]
    return Guess(counted if place else [*counted, (CODES_OF_ACCOUNT, email)])
