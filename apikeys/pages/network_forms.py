"""The form of the networks editor. It validates and never writes."""

import hashlib
from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from typing_extensions import override

from accounts.hide_secrets import HideSecretsMixin
from accounts.leaks import holds_secret
from apikeys.models import APIKey
from apikeys.networks import MAX_TEXT, in_short
from apikeys.pages.forms import clean_networks
from audit.client_address import Network, parse_network


class NetworksForm(HideSecretsMixin, forms.Form):
    """The list of a key's networks, and two digests: of the list that was checked, and of the list that is replaced."""

    keepable: ClassVar[tuple[str, ...]] = ("networks", "checked", "replaces")

    networks = forms.CharField(
        required=False,
        strip=False,  # so that lines are counted as the person sees them
        max_length=MAX_TEXT,
        label="Allowed networks",
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "autocomplete": "off"}),
        help_text="One address or network per line, such as 203.0.113.7 or 2001:db8::/32. "
        "Text after # is ignored and not saved. Leave empty to allow any address.",
    )
    checked = forms.CharField(required=False, widget=forms.HiddenInput)
    replaces = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, key: APIKey) -> None:
        initial = {"networks": "\n".join(map(_as_typed, key.network_list)), "replaces": digest_of(key.network_list)}
        super().__init__(data, initial=initial)
        self.key = key

    @property
    def has_field_errors(self) -> bool:
        """Whether the list has an error, and not just the form as a whole."""
        return "networks" in self.errors

    @property
    def text(self) -> str:
        """The list as the page shows it, unless a draft is filled in afterwards: this doesn't fix the field's value."""
        return str(self.data.get("networks", "") if self.is_bound else self.initial["networks"])

    @property
    def chosen(self) -> list[str]:
        """The networks in canonical form, of a valid form."""
        chosen: list[str] = self.cleaned_data["networks"]
        return chosen

    @property
    def networks_chosen(self) -> list[Network]:
        """The same as networks."""
        return [parse_network(text) for text in self.chosen]

    @property
    def is_changed(self) -> bool:
        """Whether the list differs from what the key has."""
        return self.chosen != self.key.network_list

    @property
    def was_checked(self) -> bool:
        """Whether the page that this came from showed the check of exactly this list."""
        return bool(self.cleaned_data["checked"] == digest_of(self.chosen))

    def clean_networks(self) -> list[str]:
        """Return the networks in canonical form. A secret in a comment is an error, because the page comes back."""
        text: str = self.cleaned_data["networks"]
        if holds_secret(text):
            raise ValidationError("This list contained a secret. Enter it again without.", code="secret")
        return clean_networks(text)

    @override
    def clean(self) -> dict[str, Any]:
        """Refuse a list that was made from another one than the key has now."""
        data = super().clean() or self.cleaned_data
        has_now = self.key.network_list
        if "networks" in data and data.get("replaces") != digest_of(has_now) and data["networks"] != has_now:
            raise ValidationError(
                "The networks of this key were changed after you opened this page. Compare your list with what is "
                "saved now, and save it again if it is still right.",
                code="changed",
            )
        return data

    @override
    def full_clean(self) -> None:
        """Clean the form, and let the page that shows it next say what was checked and what is replaced now."""
        super().full_clean()
        if self.is_bound:
            data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
            data["checked"] = digest_of(self.chosen) if not self.errors else ""
            data["replaces"] = digest_of(self.key.network_list)
            self.data = data


def digest_of(networks: Iterable[str]) -> str:
    """Return what identifies a list of networks: it is compared, and protects nothing."""
    return hashlib.sha256(" ".join(networks).encode()).hexdigest()


def _as_typed(text: str) -> str:
    try:
        return in_short(parse_network(text))
    except ValueError:
        return text  # the row was not written by the portal
