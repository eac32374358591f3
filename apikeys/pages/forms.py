"""Forms in which a developer decides what a key may do. They validate and never write."""

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, Final, NamedTuple, cast

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundWidget
from django.http import QueryDict
from django.utils import timezone
from django.utils.crypto import get_random_string
from typing_extensions import override

from accounts.hide_secrets import HideSecretsMixin
from apikeys.errors import PolicyError
from apikeys.models import NAME_LENGTH, APIKey, Environment
from apikeys.names import clean_name
from apikeys.networks import MAX_TEXT, NetworksError, parse_text
from apikeys.pages.error_summary import ErrorSummaryMixin
from apikeys.pages.policy_texts import PRESETS, expiry_choices, policy_sentence
from apikeys.services.policies import Expiry, policies, refuse_expiry
from credentials.scopes.models import Scope

FORM_TOKEN_LENGTH = 43
PURPOSES: Final = {Environment.LIVE: "For real data", Environment.TEST: "For testing"}


class EnvironmentRadio(NamedTuple):
    """The radio button of an environment, and what the environment is for."""

    button: BoundWidget
    purpose: str


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


class KeyForm(ErrorSummaryMixin, HideSecretsMixin, forms.Form):
    """What a developer decides about a key, when it is created and later."""

    keepable: ClassVar[tuple[str, ...]] = ("name", "scopes", "expiry", "expiry_date", "networks")

    name = forms.CharField(max_length=NAME_LENGTH, help_text="Where you'll use it, such as “billing server” or “CI”.")
    scopes = ScopeField(required=False, help_text="What the key can do. Without scopes it only identifies you.")
    expiry = forms.ChoiceField(label="Expires")
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

    def __init__(self, *args: Any, key: APIKey | None = None, **kwargs: Any) -> None:
        """Offer what the catalogue and the policies allow, and what the key has; None for a new key."""
        super().__init__(*args, **kwargs)
        self._key = key
        self._policies = policies(key.environment) if key else policies()
        scopes, expiry = self.fields["scopes"], self.fields["expiry"]
        assert isinstance(scopes, ScopeField)  # noqa: S101  # for the type checker: both are declared above
        assert isinstance(expiry, forms.ChoiceField)  # noqa: S101
        scopes.offer(key.scope_list if key else ())
        expiry.choices = choices = expiry_choices(self._policies, key)
        expiry.initial = choices[0][0]

    @property
    def policy_sentences(self) -> list[str]:
        """What the policies say, in words; empty if they bound nothing."""
        return [sentence for policy in self._policies.values() if (sentence := policy_sentence(policy))]

    def clean_name(self) -> str:
        """Return the name, normalized."""
        return clean_name(self.cleaned_data["name"])

    def clean_networks(self) -> list[str]:
        """Return the networks in canonical form."""
        return clean_networks(self.cleaned_data["networks"])

    @override
    def clean(self) -> dict[str, Any]:
        """Add `expires_at`: the end of the chosen day in UTC, None for never, or the policy's default."""
        data = super().clean() or self.cleaned_data
        choice = data.get("expiry")
        data["expires_at"] = None
        if choice in PRESETS:
            data["expires_at"] = timezone.now() + timedelta(days=PRESETS[choice])
        elif choice == Expiry.DEFAULT.value:
            data["expires_at"] = Expiry.DEFAULT
        elif choice == "date" and "expiry_date" in data:
            data["expires_at"] = self._end_of(data["expiry_date"])
        self._refuse_beyond_policy(data)
        return data

    def _end_of(self, day: Any) -> datetime | None:
        if day is None:
            self.add_error("expiry_date", "Choose a date.")
            return None
        shown = self._key.expires_at if self._key else None
        if shown and shown.date() == day:
            return shown  # the date that the form showed is unchanged, so the hour must not change either
        end = datetime.combine(day, time.max, tzinfo=UTC)
        if end <= timezone.now():
            self.add_error("expiry_date", "This date is in the past.")
        return end

    def _refuse_beyond_policy(self, data: dict[str, Any]) -> None:
        """Say beside the field what the verb would say."""
        expires_at = data["expires_at"]
        is_unchanged = self._key is not None and expires_at == self._key.expires_at
        if self.errors or is_unchanged or isinstance(expires_at, Expiry):
            return
        policy = self._policies[self._key.environment if self._key else data["environment"]]
        latest = policy.latest_expiry
        if data["expiry"] == "date" and latest and expires_at.date() == latest.date():
            expires_at = data["expires_at"] = latest  # the last day that is allowed is not a whole one
        try:
            refuse_expiry(policy, expires_at)
        except PolicyError as error:
            self.add_error("expiry_date" if data["expiry"] == "date" else "expiry", str(error))


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


class EditKeyForm(KeyForm):
    """The settings of a key. `version` is the one that the page showed, so that no change in between is lost."""

    keepable = (*KeyForm.keepable, "version")

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    meanwhile: APIKey | None = None
    """The key as it is now, if it was changed since the page was shown."""

    def tell_of_change(self, current: APIKey) -> None:
        """Say that the key was changed since the page was shown. What was typed stays, and can be saved over it."""
        self.meanwhile = current
        data = cast("QueryDict", self.data).copy()
        data["version"] = str(current.version)
        self.data = data
        self.add_error(None, "This key was changed in the meantime. To replace that with what you typed, save again.")


def key_initial(key: APIKey) -> dict[str, Any]:
    """Return the initial values of a key's edit form."""
    return {
        "version": key.version,
        "name": key.name,
        "scopes": key.scope_list,
        "networks": "\n".join(key.network_list),
        "expiry": "date" if key.expires_at else "never",
        "expiry_date": key.expires_at.date() if key.expires_at else None,
    }
