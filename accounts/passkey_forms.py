"""django-allauth's passkey forms, with the portal's rule for names (`accounts.names`)."""

from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms
from django.core.exceptions import ValidationError
from typing_extensions import override

from accounts.factor_forms import ConfirmedUserMixin
from accounts.hide_secrets import HideSecretsMixin
from accounts.names import clean_text, printable

NAME_LENGTH = 100


class AddPasskeyForm(ConfirmedUserMixin, AddWebAuthnForm):  # type: ignore[misc]  # untyped
    """A new passkey. The browser has created it already, so a bad name is cleaned up and not refused."""

    @override
    def clean_name(self) -> str:
        """Return the displayable part of the name, or django-allauth's default if nothing is left."""
        sent = self.cleaned_data["name"]
        try:
            self.cleaned_data["name"] = clean_text(sent, max_length=NAME_LENGTH, needed=False)
        except ValidationError:
            self.cleaned_data["name"] = printable(sent)[:NAME_LENGTH].strip()
        name: str = super().clean_name()
        return name


class EditPasskeyForm(HideSecretsMixin, EditWebAuthnForm):  # type: ignore[misc]  # untyped
    """A new name for a passkey."""

    name = forms.CharField(max_length=NAME_LENGTH)

    def clean_name(self) -> str:
        """Return the name as it is stored. Raises `ValidationError` for invisible or misleading characters."""
        return clean_text(self.cleaned_data["name"], max_length=NAME_LENGTH)
