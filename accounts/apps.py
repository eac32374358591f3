"""The accounts room as a Django application."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class AccountsConfig(AppConfig):
    """The lowest room: it also makes Django read every room's `checks.py`."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read `checks.py` of each application, as the admin does with `admin.py`; watch the libraries' rows."""
        autodiscover_modules("checks")
        import_module("accounts.outside").watch()  # it needs the libraries' models, which are there by now
