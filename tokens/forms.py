"""Forms for audiences, and the form that closes an account. They validate and never write."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.emails import normalize_email
from accounts.hide_secrets import HideSecretsMixin
from accounts.leaks import holds_secret
from accounts.models import User
from accounts.names import clean_text
from tokens.models import Audience
from tokens.resources import is_resource

DESCRIPTION_LENGTH = 200
NO_RESOURCE = (
    "Enter an absolute URI, such as https://reports.example.com, with scheme and host in lower case and without “#”, a "
    "user name or spaces."
)


class AudienceForm(HideSecretsMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An audience, as operators add or change it."""

    class Meta:
        model = Audience
        fields = ("uri", "description")

    def clean_uri(self) -> str:
        """Return the URI. Raises `ValidationError` if it is invalid, the portal's own, or contains a secret."""
        uri: str = self.cleaned_data["uri"]
        if not is_resource(uri):
            raise ValidationError(NO_RESOURCE, code="invalid")
        if uri == settings.KEYPORTAL_AUDIENCE:
            raise ValidationError("This is the portal's own audience (KEYPORTAL_AUDIENCE).", code="own")
        if holds_secret(uri):
            raise ValidationError(
                "A URI is visible to others. This one contains a secret; leave it out.", code="secret"
            )
        return uri

    def clean_description(self) -> str:
        """Return the description, normalized. Raises `ValidationError`."""
        return clean_text(self.cleaned_data["description"], what="A description", max_length=DESCRIPTION_LENGTH)


class CloseForm(forms.Form):
    """Ask the user to type the account's e-mail address, because closing can't be undone."""

    typed = forms.CharField(
        max_length=254,
        label="Your e-mail address",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "email"}),
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self._email = user.email

    def clean_typed(self) -> str:
        """Return the text as typed. Raises `ValidationError` if it is not the account's address."""
        typed: str = self.cleaned_data["typed"]
        if normalize_email(typed) != self._email:
            raise ValidationError("This is not the account's e-mail address.", code="address")
        return typed
