"""Forms that operators fill in to act on keys, and to suspend new credentials. They validate and never write."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from typing_extensions import override

from accounts.hide_secrets import HideSecretsMixin
from accounts.issuing import current_suspension
from accounts.models import IssuingState
from accounts.times import rfc3339
from apikeys.end_text import EXPECTED, parse_end
from apikeys.models import REASON_LENGTH, KeyPolicy
from apikeys.names import clean_reason
from credentials.limits.rate_limit_text import MAX_LENGTH, parse_rate_limit

WIDE = {"class": "vTextField", "autocomplete": "off"}


class ReasonForm(HideSecretsMixin, forms.Form):
    """The reason for which an operator ends a credential."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Reason (shown to the owner and recorded)",
        widget=forms.TextInput(attrs=WIDE),
    )

    def clean_reason(self) -> str:
        """Return the reason as the owner will read it; empty if the operator gave none."""
        return clean_reason(self.cleaned_data["reason"])


class PauseKeysForm(ReasonForm):
    """Why an operator pauses keys, and until when."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Reason (the owner and everyone who calls with the key can read it)",
        widget=forms.TextInput(attrs=WIDE),
    )
    until = forms.CharField(
        required=False,
        max_length=40,
        label="Until, such as 24h or 2027-01-31T12:00Z; leave empty to pause until an operator resumes",
        widget=forms.TextInput(attrs=WIDE),
    )

    def clean_until(self) -> datetime | None:
        """Return the end of the pause; None for a pause that an operator has to end."""
        return _clean_end(self.cleaned_data["until"], "The end of a pause must be in the future.")


class ConfirmForm(forms.Form):
    """What is sent with the button of a page that asks for nothing."""

    confirmed = forms.BooleanField(initial=True, widget=forms.HiddenInput)


class LimitForm(HideSecretsMixin, forms.Form):
    """A key's rate limit."""

    limit = forms.CharField(
        required=False,
        max_length=MAX_LENGTH,
        label="Limit, such as 100/minute or 5000 per 2 hours; leave empty for the default",
        widget=forms.TextInput(attrs=WIDE),
    )

    def clean_limit(self) -> str:
        """Return the limit in the form that pages use: `100/minute`, `5000 per 2 hours`."""
        text = self.cleaned_data["limit"]
        if not text:
            return ""
        try:
            item = parse_rate_limit(text)
        except ValueError as error:
            message = "This is not a limit. Enter a number, a slash and second, minute, hour or day."
            raise ValidationError(message, code="limit") from error
        unit = item.GRANULARITY.name
        return f"{item.amount}/{unit}" if item.multiples == 1 else f"{item.amount} per {item.multiples} {unit}s"


class PolicyForm(HideSecretsMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What the keys of an environment may have. What the database would refuse is explained beside its field."""

    class Meta:
        model = KeyPolicy
        fields = ("max_days", "allows_never", "default_days", "allows_reveal", "max_keys")

    @override
    def clean(self) -> dict[str, Any]:
        """Compare the default with the bounds that it has to keep to."""
        data = super().clean() or self.cleaned_data
        longest, default = data.get("max_days"), data.get("default_days")
        if "default_days" in data and default is None and not data["allows_never"]:
            self.add_error("default_days", "Enter a default, because keys that never expire aren't allowed.")
        if longest is not None and default is not None and default > longest:
            self.add_error("default_days", f"The default can't be longer than the maximum lifetime, {longest} days.")
        return data


class IssuingForm(HideSecretsMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Whether new credentials are issued; if not, why and until when."""

    issue = forms.ChoiceField(
        label="New credentials",
        choices=(("on", "are issued"), ("off", "are suspended: no new accounts, keys, secrets and tokens")),
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Reason",
        help_text="Needed to suspend. Everyone can read it, also visitors who are not logged in.",
        widget=forms.TextInput(attrs=WIDE),
    )
    until = forms.CharField(
        required=False,
        max_length=40,
        label="Until",
        help_text="Such as 24h or 2027-01-31T12:00Z. Leave empty to suspend until an operator resumes.",
        widget=forms.TextInput(attrs=WIDE),
    )
    allows_rotation = forms.BooleanField(
        required=False,
        label="Allow rotation",
        help_text="Secrets of existing keys can still be replaced, for example because they leaked.",
    )

    class Meta:
        model = IssuingState
        fields = ("reason", "until", "allows_rotation")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        suspension = current_suspension()
        until = rfc3339(suspension.until) if suspension and suspension.until else ""
        reason = suspension.reason if suspension and not suspension.is_tampered else ""
        now: dict[str, Any] = {"issue": "off" if suspension else "on", "until": until, "reason": reason}
        now["allows_rotation"] = suspension is not None and suspension.allows_rotation
        self.initial = {**now, **{name: value for name, value in self.initial.items() if name not in now}}

    def clean_reason(self) -> str:
        """Return the reason as everyone will read it. Raises `ValidationError` if there is none to suspend for."""
        reason = clean_reason(self.cleaned_data["reason"])
        if not reason and self.cleaned_data.get("issue") == "off":
            raise ValidationError("Enter a reason. It is what everyone will read.", code="required")
        return reason

    def clean_until(self) -> datetime | None:
        """Return the end; None for a suspension that an operator has to end."""
        return _clean_end(self.cleaned_data["until"], "The end must be in the future.")


def _clean_end(text: str, of_the_past: str) -> datetime | None:
    if not text:
        return None
    try:
        until = parse_end(text)
    except ValueError as error:
        raise ValidationError(f"This is not an end. Enter {EXPECTED}.", code="until") from error
    if until <= timezone.now():
        raise ValidationError(of_the_past, code="past")
    return until
