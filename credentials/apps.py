"""The Django application `credentials`."""

from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    """The application's configuration. The accounts application loads the checks, so nothing is set up here."""

    name = "credentials"
    default_auto_field = "django.db.models.BigAutoField"
