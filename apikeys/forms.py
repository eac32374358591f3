"""Forms of the key pages. They validate and never write."""

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, Final, NamedTuple

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms.boundfield import BoundWidget
from django.utils import timezone
from django.utils.crypto import get_random_string
from typing_extensions import override

from accounts.hide_secrets import HideSecretsMixin
from accounts.names import clean_text
from apikeys.models import NAME_LENGTH, APIKey, Environment
from apikeys.networks import MAX_TEXT, NetworksError, parse_text
from credentials.scopes.models import Scope

PRESETS = {"7": 7, "30": 30, "90": 90, "365": 365}
EXPIRY_CHOICES = [
    ("never", "Never"),
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    ("date", "On a date"),
]
NAME_INPUT = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
FORM_TOKEN_LENGTH = 43
REASON_LENGTH = 200
PURPOSES: Final = {Environment.LIVE: "For real data", Environment.TEST: "For testing"}


class EnvironmentRadio(NamedTuple):
    """The radio button of an environment, and what the environment is for."""

    button: BoundWidget
    purpose: str


def clean_name(name: str) -> str:
    """Return a key's name, normalized. Raises `ValidationError` for invisible or misleading characters."""
    return clean_text(name, max_length=NAME_LENGTH)


def clean_reason(reason: str, *, needed: bool = False) -> str:
    """Return the reason for ending a key, normalized; empty if none was given. Raises `ValidationError`."""
    return clean_text(reason, what="A reason", max_length=REASON_LENGTH, needed=needed)


def clean_networks(text: str) -> list[str]:
    """Return the networks in canonical form. Raises `ValidationError` with a message for each line that is wrong."""
    try:
        return [str(network) for network in parse_text(text)]
    except NetworksError as error:
        messages = [*map(str, error.faults), *([f"And {error.more} more."] if error.more else [])]
        raise ValidationError(messages, code="network") from error


class ScopeField(forms.MultipleChoiceField):
    """Check boxes of the scope catalogue. A restricted scope appears only if the key already has it."""

    widget = forms.CheckboxSelectMultiple

    def offer(self, held: Collection[str] = ()) -> None:
        """Set the choices: the scopes that developers may take themselves, and those that the key holds."""
        offered = Scope.objects.filter(restricted=False) | Scope.objects.filter(name__in=held)
        self.scopes = offered.with_valid_seals()
        self.choices = [(scope.name, scope.description) for scope in self.scopes]


class KeyForm(HideSecretsMixin, forms.Form):
    """What a developer decides about a key, when it is created and later."""

    keepable: ClassVar[tuple[str, ...]] = ("name", "scopes", "expiry", "expiry_date", "networks")

    name = forms.CharField(max_length=NAME_LENGTH, help_text="Where you'll use it, such as “billing server” or “CI”.")
    scopes = ScopeField(required=False, help_text="What the key can do. Without scopes it only identifies you.")
    expiry = forms.ChoiceField(choices=EXPIRY_CHOICES, initial="never", label="Expires")
    expiry_date = forms.DateField(
        required=False,
        label="Date (UTC)",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The key works until the end of that day (midnight UTC).",
    )
    networks = forms.CharField(
        required=False,
        strip=False,  # so that lines are counted as the person sees them
        max_length=MAX_TEXT,
        label="Allowed networks",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One address or network per line, such as 203.0.113.7 or 2001:db8::/32. Leave empty to allow any.",
    )

    def __init__(
        self, *args: Any, held: Collection[str] = (), expires_at: datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._expires_at = expires_at
        field = self.fields["scopes"]
        assert isinstance(field, ScopeField)  # noqa: S101  # for the type checker: it is declared a few lines above
        field.offer(held)

    @property
    def has_field_errors(self) -> bool:
        """Whether a field has an error, and not just the form as a whole."""
        return any(name != NON_FIELD_ERRORS for name in self.errors)

    def clean_name(self) -> str:
        """Return the name, normalized."""
        return clean_name(self.cleaned_data["name"])

    def clean_networks(self) -> list[str]:
        """Return the networks in canonical form."""
        return clean_networks(self.cleaned_data["networks"])

    @override
    def clean(self) -> dict[str, Any]:
        """Add `expires_at`: the end of the chosen day in UTC, or None for never."""
        data = super().clean() or self.cleaned_data
        choice = data.get("expiry")
        data["expires_at"] = None
        if choice in PRESETS:
            data["expires_at"] = timezone.now() + timedelta(days=PRESETS[choice])
        elif choice == "date" and "expiry_date" in data:
            data["expires_at"] = self._end_of(data["expiry_date"])
        return data

    def _end_of(self, day: Any) -> datetime | None:
        if day is None:
            self.add_error("expiry_date", "Choose a date.")
            return None
        if self._expires_at and self._expires_at.date() == day:
            return self._expires_at  # the date that the form showed is unchanged, so the hour must not change either
        end = datetime.combine(day, time.max, tzinfo=UTC)
        if end <= timezone.now():
            self.add_error("expiry_date", "This date is in the past.")
        return end


class NewKeyForm(KeyForm):
    """A new key. `form_token` makes a double click harmless, because one form creates one key."""

    keepable = (*KeyForm.keepable, "environment", "show_once")

    environment = forms.ChoiceField(choices=Environment, initial=Environment.LIVE, widget=forms.RadioSelect)
    show_once = forms.BooleanField(
        required=False,
        label="Show the secret only once",
        help_text="The portal doesn't store it, and it can't be revealed later, not even by you.",
    )
    form_token = forms.CharField(widget=forms.HiddenInput, min_length=FORM_TOKEN_LENGTH, max_length=FORM_TOKEN_LENGTH)

    field_order = ("name", "environment", "scopes", "expiry", "expiry_date", "networks", "show_once", "form_token")

    @property
    def environment_radios(self) -> list[EnvironmentRadio]:
        """The radio buttons of the environments."""
        return [EnvironmentRadio(button, PURPOSES[button.data["value"]]) for button in self["environment"]]

    @property
    def uses_more_options(self) -> bool:
        """Whether one of the fields that the page folds away has a value or an error."""
        return bool(self["networks"].errors or self["networks"].value() or self["show_once"].value())

    @staticmethod
    def new_token() -> str:
        """Return a fresh form token."""
        return get_random_string(FORM_TOKEN_LENGTH)


class RevokeForm(HideSecretsMixin, forms.Form):
    """The reason for revoking a key, which is optional. For a key in use, the developer must also type its name."""

    keepable: ClassVar[tuple[str, ...]] = ("typed", "reason")

    typed = forms.CharField(max_length=NAME_LENGTH, label="Name of the key", widget=NAME_INPUT)
    reason = forms.CharField(required=False, max_length=REASON_LENGTH, help_text="For your own records.")

    def __init__(self, *args: Any, key: APIKey, in_use: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = key.name
        if not in_use:
            del self.fields["typed"]

    def clean_typed(self) -> str:
        """Return the name as typed. Raises `ValidationError` if it is not the key's, ignoring case."""
        typed: str = self.cleaned_data["typed"]
        if clean_name(typed).casefold() != self._name.casefold():
            raise ValidationError("This doesn't match the key's name.", code="name")
        return typed

    def clean_reason(self) -> str:
        """Return the reason, normalized; empty if none was given."""
        return clean_reason(self.cleaned_data["reason"])


def key_initial(key: APIKey) -> dict[str, Any]:
    """Return the initial values of a key's edit form."""
    return {
        "name": key.name,
        "scopes": key.scope_list,
        "networks": "\n".join(key.network_list),
        "expiry": "date" if key.expires_at else "never",
        "expiry_date": key.expires_at.date() if key.expires_at else None,
    }
