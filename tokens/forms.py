"""The form that closes an account. It validates and never writes."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.emails import normalize_email
from accounts.models import User


class CloseForm(forms.Form):
    """Asks for the account's address to be typed: nothing brings the account back."""

    typed = forms.CharField(
        max_length=254,
        label="Your e-mail address",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "email"}),
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self._email = user.email

    def clean_typed(self) -> str:
        """Return what was typed. Raises `ValidationError` for another address."""
        typed: str = self.cleaned_data["typed"]
        if normalize_email(typed) != self._email:
            raise ValidationError("This is not the account's address.", code="address")
        return typed
