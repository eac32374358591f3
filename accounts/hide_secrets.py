"""A mixin for forms with texts that others read."""

from typing import Any

from django import forms
from typing_extensions import override

from accounts.leaks import holds_secret


class HideSecretsMixin(forms.BaseForm):
    """A form mixin that does not show a secret again if the user entered one by mistake."""

    @override
    def full_clean(self) -> None:
        """Clean the form, then blank the fields that the page must not repeat."""
        super().full_clean()
        leaks = [name for name in self.data if any(map(holds_secret, map(str, self._all(name))))] if self.errors else []
        if leaks:
            data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict, or a test's dictionary
            for name in leaks:
                data[name] = ""
            self.data = data

    def _all(self, name: str) -> list[object]:
        getlist = getattr(self.data, "getlist", None)
        return list(getlist(name)) if getlist else [self.data[name]]
