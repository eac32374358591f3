"""The form for the e-mails that a user may switch off."""

from typing import Any, ClassVar

from django import forms

from accounts.message_kinds import MessageKind
from accounts.models import User
from accounts.preferences import wanted_kinds


class EmailPreferencesForm(forms.Form):
    """A check box for each kind of message."""

    keepable: ClassVar[tuple[str, ...]] = ("is_sent", *MessageKind)

    # A browser sends nothing for an empty check box: without this field, a form with none ticked would hold nothing
    # that could be kept across a log-in.
    is_sent = forms.CharField(required=False, initial="yes", widget=forms.HiddenInput)

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        for kind, wanted in wanted_kinds(user).items():
            self.fields[kind] = forms.BooleanField(
                required=False, label=kind.label, help_text=kind.help_text, initial=wanted
            )

    @property
    def wanted(self) -> list[MessageKind]:
        """The kinds that are ticked in a valid form."""
        return [kind for kind in MessageKind if self.cleaned_data[kind]]
