"""Forms in which a developer rotates, pauses or revokes keys. They validate and never write."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundWidget
from django.utils import timezone
from typing_extensions import override

from accounts.hide_secrets import HideSecretsMixin
from apikeys.models import NAME_LENGTH, REASON_LENGTH, APIKey
from apikeys.names import clean_name, clean_reason
from apikeys.pages.error_summary import ErrorSummaryMixin

NAME_INPUT: Final = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
OVERLAPS: Final = (
    ("24", "24 hours"),
    ("1", "1 hour"),
    ("168", "7 days"),
    ("720", "30 days"),
    ("0", "None: it leaked"),
)
"""The overlaps that the form offers, in hours."""
HINTS: Final = {
    "24": "To replace it on your servers today.",
    "1": "To replace it right now.",
    "168": "If it takes a deployment or a colleague.",
    "720": "If others use the key and have to be told.",
    "0": "The current secret is refused from the next call on.",
}
"""When to choose each."""
BOTH: Final = "Both secrets are refused from the next call on."
"""Instead, while an overlap is running."""
PAUSES: Final = (
    ("", "Until I resume it"),
    ("1", "For 1 hour"),
    ("24", "For 24 hours"),
    ("168", "For 7 days"),
    ("720", "For 30 days"),
)
SURE: Final = "revoke"


class OverlapRadio(NamedTuple):
    """The radio button of an overlap, and when to choose it."""

    button: BoundWidget
    hint: str


class ReasonField(forms.CharField):
    """A reason that may be left out. The key's owner and its clients can read it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=REASON_LENGTH, **options)

    def clean(self, value: Any) -> str:
        """Return the reason, normalized; empty if none was given."""
        return clean_reason(super().clean(value))


class RotateForm(ErrorSummaryMixin, HideSecretsMixin, forms.Form):
    """For how long the former secret goes on working. `replaces` tells two rotations at once apart."""

    keepable: ClassVar[tuple[str, ...]] = ("overlap", "reason")

    overlap = forms.ChoiceField(
        choices=OVERLAPS,
        initial="24",
        label="How long should the current secret keep working?",
        widget=forms.RadioSelect,
    )
    reason = ReasonField(help_text="Such as where it leaked. It is kept in the key's history.")
    replaces = forms.CharField(max_length=32, widget=forms.HiddenInput)

    def __init__(self, *args: Any, is_running: bool, **kwargs: Any) -> None:
        """Offer no overlap while one is running."""
        super().__init__(*args, **kwargs)
        self._hints = dict.fromkeys(HINTS, BOTH) if is_running else HINTS
        if is_running:
            overlap = self.fields["overlap"]
            assert isinstance(overlap, forms.ChoiceField)  # noqa: S101  # for the type checker: declared above
            overlap.choices, overlap.initial = [OVERLAPS[-1]], OVERLAPS[-1][0]

    @property
    def overlap_radios(self) -> list[OverlapRadio]:
        """The radio buttons of the overlaps."""
        return [OverlapRadio(button, self._hints[button.data["value"]]) for button in self["overlap"]]

    def clean_overlap(self) -> timedelta:
        """Return the overlap."""
        return timedelta(hours=int(self.cleaned_data["overlap"]))


class PauseForm(ErrorSummaryMixin, HideSecretsMixin, forms.Form):
    """Why one or more keys are paused, and until when."""

    keepable: ClassVar[tuple[str, ...]] = ("reason", "until")

    reason = ReasonField(help_text="Everyone who calls with the key can read it.")
    until = forms.ChoiceField(choices=PAUSES, required=False, label="Pause")

    def clean_until(self) -> datetime | None:
        """Return the end of the pause; None for a pause that is resumed by hand."""
        hours = self.cleaned_data["until"]
        return timezone.now() + timedelta(hours=int(hours)) if hours else None


class UsedKeysForm(ErrorSummaryMixin, HideSecretsMixin, forms.Form):
    """The reason for ending keys, which is optional. If one of them is in use, the developer must also type something.

    A page that was opened before any call was counted does not ask for that. Then the form explains why it asks now.
    """

    keepable: ClassVar[tuple[str, ...]] = ("typed", "reason")
    used_since: ClassVar[str]

    def __init__(self, *args: Any, in_use: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not in_use:
            del self.fields["typed"]

    @override
    def clean(self) -> dict[str, Any]:
        """Raise `ValidationError` if the page that was sent did not ask for what must be typed now."""
        data = super().clean() or self.cleaned_data
        if "typed" in self.fields and "typed" not in self.data:
            del self.errors["typed"]
            raise ValidationError(self.used_since, code="used")
        return data


class RevokeForm(UsedKeysForm):
    """The reason for revoking a key. For a key in use, the developer must also type its name."""

    used_since = "Not revoked yet: this key was used since you opened this page. Type its name to revoke it anyway."

    typed = forms.CharField(max_length=NAME_LENGTH, label="Name of the key", widget=NAME_INPUT)
    reason = ReasonField(help_text="Everyone who calls with the key can read it.")

    def __init__(self, *args: Any, key: APIKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = key.name

    def clean_typed(self) -> str:
        """Return the name as typed. Raises `ValidationError` if it is not the key's, ignoring case."""
        typed: str = self.cleaned_data["typed"]
        if clean_name(typed).casefold() != self._name.casefold():
            raise ValidationError("This doesn't match the key's name.", code="name")
        return typed


class RevokeManyForm(UsedKeysForm):
    """The reason for revoking several keys. If one of them is in use, the developer must also type a word."""

    used_since = (
        f"Not revoked yet: one of these keys was used since you opened this page. Type “{SURE}” to revoke them anyway."
    )

    typed = forms.CharField(max_length=20, label=f"Type “{SURE}” to continue", widget=NAME_INPUT)
    reason = ReasonField(help_text="Everyone who calls with one of the keys can read it.")

    def clean_typed(self) -> str:
        """Return the word. Raises `ValidationError` for another one."""
        typed: str = self.cleaned_data["typed"]
        if typed.strip().casefold() != SURE:
            raise ValidationError(f"Type “{SURE}”.", code="typed")
        return typed


class EndOverlapForm(ErrorSummaryMixin, forms.Form):
    """The button that ends an overlap. The page sends back whether it said that nothing uses the former secret."""

    said_unused = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, is_unused: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_unused = is_unused

    @override
    def clean(self) -> dict[str, Any]:
        """Raise `ValidationError` if what the page said is no longer so."""
        data = super().clean() or self.cleaned_data
        if data.get("said_unused") and not self.is_unused:
            raise ValidationError(
                "Not ended yet: the former secret was used since you opened this page. Press the button again to end "
                "the overlap anyway.",
                code="used",
            )
        return data
