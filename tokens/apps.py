"""The tokens room as a Django application."""

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """Nothing to set up: checks are found by the accounts room."""

    name = "tokens"
    default_auto_field = "django.db.models.BigAutoField"
