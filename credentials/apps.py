"""The credentials room as a Django application."""

from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    """Nothing to set up: checks are found by the accounts room."""

    name = "credentials"
    default_auto_field = "django.db.models.BigAutoField"
