"""django-allauth's second-factor forms, with limits per place and account, and with failures on the record."""

from typing import Any, ClassVar

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm as LibraryAuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as LibraryReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm as LibraryActivateTOTPForm
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm as LibraryAuthenticateWebAuthnForm
from allauth.mfa.webauthn.forms import LoginWebAuthnForm as LibraryLoginWebAuthnForm
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm as LibraryReauthenticateWebAuthnForm
from django.core.exceptions import ValidationError

from accounts.guessing import code_guess
from accounts.models import User
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event


class LimitCodesMixin:
    """A form mixin that counts a code before checking it, and records a wrong one."""

    user: User
    event: ClassVar[EventType] = EventType.SECOND_FACTOR_FAILED

    def clean_code(self) -> Any:
        """Return the code. Raises `ValidationError` if it is wrong, `TooManyAttemptsError` beyond the limit."""
        guess = code_guess(context.request, self.user.email)
        guess.enforce()
        try:
            code = super().clean_code()  # type: ignore[misc]  # defined by the form
        except ValidationError:
            record_failed_factor(self.user, self.event)
            raise
        guess.was_right()
        return code


class ConfirmedUserMixin:
    """A form mixin that requires a confirmed account, so that a stranger's factor can't lock the mailbox's owner out.

    The sealed confirmation of the user counts; allauth would ask its own table (`MFA_ALLOW_UNVERIFIED_EMAIL`).
    """

    user: User

    def clean(self) -> Any:
        """Return the cleaned data. Raises `ValidationError` if the user is not confirmed."""
        if not self.user.is_confirmed:
            raise ValidationError("Confirm your e-mail address first.", code="unverified_email")
        return super().clean()  # type: ignore[misc]  # defined by the form


class RecordFailedPasskeysMixin:
    """A form mixin that records a failed passkey, if the account is known."""

    user: User | None

    def clean_credential(self) -> Any:
        """Return the proved passkey. Raises `ValidationError` if it fails."""
        try:
            return super().clean_credential()  # type: ignore[misc]  # defined by the form
        except ValidationError:
            if self.user is not None:
                record_failed_factor(self.user, EventType.SECOND_FACTOR_FAILED)
            raise


class AuthenticateForm(LimitCodesMixin, LibraryAuthenticateForm):  # type: ignore[misc]  # untyped
    """A code at log-in."""


class ReauthenticateForm(LimitCodesMixin, LibraryReauthenticateForm):  # type: ignore[misc]  # untyped
    """A code for a fresh log-in."""


class ActivateTOTPForm(ConfirmedUserMixin, LimitCodesMixin, LibraryActivateTOTPForm):  # type: ignore[misc]  # untyped
    """The first code of a new authenticator app."""

    event = EventType.SECOND_FACTOR_REFUSED


class AuthenticateWebAuthnForm(RecordFailedPasskeysMixin, LibraryAuthenticateWebAuthnForm):  # type: ignore[misc]  # untyped
    """A passkey at log-in, after the password."""


class ReauthenticateWebAuthnForm(RecordFailedPasskeysMixin, LibraryReauthenticateWebAuthnForm):  # type: ignore[misc]  # untyped
    """A passkey for a fresh log-in."""


class LoginWebAuthnForm(RecordFailedPasskeysMixin, LibraryLoginWebAuthnForm):  # type: ignore[misc]  # untyped
    """A passkey as the only factor of a log-in."""


def record_failed_factor(user: User, event: EventType) -> None:
    """Record a wrong second factor of the account."""
    record_event(event, subject=f"user:{user.pk}", origin=Origin.of_request(context.request))
