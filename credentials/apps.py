"""The Django application `credentials`."""

from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    """Configure the application. It sets nothing up at start: the accounts application finds its checks."""

    name = "credentials"
    default_auto_field = "django.db.models.BigAutoField"
