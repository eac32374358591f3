"""django-allauth's forms with the portal's limits, records and links. They validate; `accounts.services` writes."""

from typing import Any, ClassVar, Final

from allauth.account.adapter import get_adapter
from allauth.account.fields import EmailField
from allauth.account.forms import ChangePasswordForm as LibraryChangePasswordForm
from allauth.account.forms import ResetPasswordForm as LibraryResetPasswordForm
from allauth.account.forms import ResetPasswordKeyForm as LibraryResetPasswordKeyForm
from allauth.account.forms import SignupForm, UserTokenForm
from allauth.account.internal import flows
from allauth.core import context
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from typing_extensions import override

from accounts import link_mail, links, services
from accounts.attempts import AttemptLimit
from accounts.emails import normalize_email, refuse_colon
from accounts.models import User
from accounts.places import bucket_of
from audit.origin import Origin

SIGN_UPS: Final = AttemptLimit("KEYPORTAL_LIMIT_SIGNUP", "Too many accounts were created from your network.")


class SignUpForm(SignupForm):  # type: ignore[misc]  # untyped
    """A sign-up form that does the same work and gives the same answer whether the address has an account or not."""

    @override
    def validate_unique_email(self, value: str) -> str:
        """Return the address unchecked: the insert finds out whether it is taken."""
        return value

    @override
    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Insert the account and return it; if the address has one already, return None and the usual response.

        Raises `TooManyAttemptsError`. Only valid forms are counted.
        """
        email, password = self.cleaned_data["email"], self.cleaned_data["password1"]
        SIGN_UPS.enforce(bucket_of(request))
        link_mail.enforce_limits(request, links.CONFIRM, email)
        user = services.sign_up(email=email, password=password, origin=Origin.of_request(request))
        if user is None:
            return None, flows.signup.prevent_enumeration(request, email=email)
        return user, None


class ChangePasswordForm(LibraryChangePasswordForm):  # type: ignore[misc]  # untyped
    """A form that asks for the current password; guesses count as they do at log-in."""

    @override
    def clean_oldpassword(self) -> str:
        """Return the current password. Raises `ValidationError` if it is wrong, and `TooManyAttemptsError`."""
        password: str = self.cleaned_data["oldpassword"]
        if not get_adapter().reauthenticate(self.user, password):
            raise ValidationError("This is not your current password.", code="enter_current_password")
        return password


class AddressForm(forms.Form):
    """A form for the e-mail address that a message goes to."""

    keepable: ClassVar[tuple[str, ...]] = ("email",)

    email = EmailField(required=True)

    def clean_email(self) -> str:
        """Return the address in its normal form. Raises `ValidationError` for a colon, which HTTP Basic can't carry."""
        refuse_colon(self.cleaned_data["email"])
        return normalize_email(self.cleaned_data["email"])


class ResetPasswordForm(AddressForm, LibraryResetPasswordForm):  # type: ignore[misc]  # untyped
    """A form that sends the link for a reset, also to an unconfirmed account: reading its mailbox proves ownership."""

    @override
    def save(self, request: HttpRequest, **options: Any) -> str:
        """Send the message and return the address. Raises `TooManyAttemptsError`."""
        email: str = self.cleaned_data["email"]
        user = User.objects.filter(email=email, is_active=True).first()
        link_mail.enforce_limits(request, links.RESET, email)
        link_mail.send_reset(user=user, email=email)
        return email


class ResetTokenForm(UserTokenForm):  # type: ignore[misc]  # untyped
    """A form that checks whether the link of a password reset is valid, without using it up."""

    @override
    def clean(self) -> dict[str, Any]:
        """Set `reset_user`. Raises `ValidationError` if the link expired, was used, is forged or for another user."""
        data: dict[str, Any] = self.cleaned_data
        link = links.find(links.RESET, data.get("key", ""))
        user = link.user if link is not None and link.user is not None and link.email == link.user.email else None
        if user is None or user.pk != data.get("uidb36") or not user.is_active:
            raise ValidationError("This link no longer works.", code="invalid_password_reset")
        self.reset_user = user
        return data


class ResetPasswordKeyForm(LibraryResetPasswordKeyForm):  # type: ignore[misc]  # untyped
    """A form that sets a new password for the user who followed a link."""

    @override
    def save(self) -> None:
        """Use the link up and set the password. Raises `accounts.errors.InvalidLinkError` if it was used meanwhile."""
        link = links.find(links.RESET, self.temp_key)
        origin = Origin.of_request(context.request, actor=f"user:{self.user.pk}")
        services.reset_password(link=link, password=self.cleaned_data["password1"], origin=origin)


class NewAddressForm(AddressForm):
    """A form for the account's new address."""

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self._user = user
        self.fields["email"].label = "New e-mail address"

    @override
    def clean_email(self) -> str:
        """Return the new address. Raises `ValidationError` if the account has it already."""
        email = super().clean_email()
        if email == self._user.email:
            raise ValidationError("This is your address already.", code="same")
        return email
