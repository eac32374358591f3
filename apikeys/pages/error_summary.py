"""What the summary above a form asks the form (`templates/_form_errors.html`)."""

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS


class ErrorSummaryMixin(forms.BaseForm):
    """A form mixin that says whether there are fields to check."""

    @property
    def has_field_errors(self) -> bool:
        """Whether a field has an error, and not just the form as a whole."""
        return any(name != NON_FIELD_ERRORS for name in self.errors)
