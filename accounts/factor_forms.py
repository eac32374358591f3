"""django-allauth's forms of second factors: wrong ones are limited for a place and an account, and on the record."""

from typing import Any, ClassVar

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm as LibraryAuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as LibraryReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm as LibraryActivateTOTPForm
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm as LibraryAuthenticateWebAuthnForm
from allauth.mfa.webauthn.forms import LoginWebAuthnForm as LibraryLoginWebAuthnForm
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm as LibraryReauthenticateWebAuthnForm
from django.core.exceptions import ValidationError

from accounts.audit import record
from accounts.guessing import code_guess
from accounts.models import User
from accounts.origin import Origin


class LimitedCode:
    """Counts a code before it is looked at, and records a wrong one."""

    user: User
    event: ClassVar[str] = "second_factor_failed"

    def clean_code(self) -> Any:
        """Return the code. Raises `ValidationError`, `TooManyAttemptsError`."""
        guess = code_guess(context.request, self.user.email)
        guess.enforce()
        try:
            code = super().clean_code()  # type: ignore[misc]  # of the form that this is mixed into
        except ValidationError:
            record_failure(self.user, self.event)
            raise
        guess.was_right()
        return code


class ForConfirmed:
    """Adds a second factor to a confirmed account only: nobody is to lock the owner of the mailbox out.

    By the confirmation under the user's seal; allauth would ask its own table (`MFA_ALLOW_UNVERIFIED_EMAIL`).
    """

    user: User

    def clean(self) -> Any:
        """Return what was sent. Raises `ValidationError`."""
        if not self.user.is_confirmed:
            raise ValidationError("Confirm your e-mail address first.", code="unverified_email")
        return super().clean()  # type: ignore[misc]  # of the form that this is mixed into


class RecordedPasskey:
    """Records a passkey that did not prove anything, where it is known whose it should be."""

    user: User | None

    def clean_credential(self) -> Any:
        """Return the second factor that was proved. Raises `ValidationError`."""
        try:
            return super().clean_credential()  # type: ignore[misc]  # of the form that this is mixed into
        except ValidationError:
            if self.user is not None:
                record_failure(self.user, "second_factor_failed")
            raise


class AuthenticateForm(LimitedCode, LibraryAuthenticateForm):  # type: ignore[misc]  # untyped
    """A code at log-in."""


class ReauthenticateForm(LimitedCode, LibraryReauthenticateForm):  # type: ignore[misc]  # untyped
    """A code for a fresh log-in."""


class ActivateTOTPForm(ForConfirmed, LimitedCode, LibraryActivateTOTPForm):  # type: ignore[misc]  # untyped
    """The first code of a new authenticator app."""

    event = "second_factor_refused"


class AuthenticateWebAuthnForm(RecordedPasskey, LibraryAuthenticateWebAuthnForm):  # type: ignore[misc]  # untyped
    """A passkey at log-in, after the password."""


class ReauthenticateWebAuthnForm(RecordedPasskey, LibraryReauthenticateWebAuthnForm):  # type: ignore[misc]  # untyped
    """A passkey for a fresh log-in."""


class LoginWebAuthnForm(RecordedPasskey, LibraryLoginWebAuthnForm):  # type: ignore[misc]  # untyped
    """A passkey alone."""


def record_failure(user: User, event: str) -> None:
    """Put a wrong second factor on the record of the account."""
    record(event, subject=f"user:{user.pk}", origin=Origin.of_request(context.request))
