"""The Django application `accounts`."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from typing_extensions import override


class AccountsConfig(AppConfig):
    """The application's configuration. As the lowest room with checks, it loads those of all others."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    @override
    def ready(self) -> None:
        """Load `checks.py` of each application, as the admin does with `admin.py`, and connect signals."""
        autodiscover_modules("checks")
        import_module("accounts.library_rows").connect_signals()  # not before: it needs the libraries' models
