"""Forms for texts that others read."""

from typing import Any

from django import forms

from accounts.leaks import holds_secret


class ForgetsSecrets(forms.BaseForm):
    """Mixed into a form: a secret that somebody typed into it by mistake is not shown again with the errors."""

    def full_clean(self) -> None:
        """Clean as ever; then blank what the page must not repeat."""
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
