"""The accounts room as a Django application."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class AccountsConfig(AppConfig):
    """The lowest room: it also makes Django read every room's `checks.py`."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read `checks.py` of each installed application, as the admin does with `admin.py`."""
        autodiscover_modules("checks")
