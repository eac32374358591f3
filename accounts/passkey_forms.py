"""The names of passkeys: django-allauth's forms, under the portal's rule for texts that somebody reads."""

from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms
from django.core.exceptions import ValidationError

from accounts.factor_forms import ForConfirmed
from accounts.forms_of_texts import ForgetsSecrets
from accounts.names import clean_text, printable

LONGEST = 100


class AddPasskeyForm(ForConfirmed, AddWebAuthnForm):  # type: ignore[misc]  # untyped
    """A new passkey. The browser has made it already: a name that can't be taken is mended rather than refused."""

    def clean_name(self) -> str:
        """Return the name as it can be shown; django-allauth's for one of which nothing is left."""
        sent = self.cleaned_data["name"]
        try:
            self.cleaned_data["name"] = clean_text(sent, longest=LONGEST, needed=False)
        except ValidationError:
            self.cleaned_data["name"] = printable(sent)[:LONGEST].strip()
        name: str = super().clean_name()
        return name


class EditPasskeyForm(ForgetsSecrets, EditWebAuthnForm):  # type: ignore[misc]  # untyped
    """Another name for a passkey."""

    name = forms.CharField(max_length=LONGEST)

    def clean_name(self) -> str:
        """Return the name as it is kept. Raises `ValidationError` for what can't be seen or misleads."""
        return clean_text(self.cleaned_data["name"], longest=LONGEST)
