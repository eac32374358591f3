"""The apikeys room as a Django application."""

from django.apps import AppConfig


class APIKeysConfig(AppConfig):
    """Nothing to set up: checks are found by the accounts room."""

    name = "apikeys"
    verbose_name = "API keys"
    default_auto_field = "django.db.models.BigAutoField"
