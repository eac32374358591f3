"""The Django application `integrity`."""

from django.apps import AppConfig


class IntegrityConfig(AppConfig):
    """The application's configuration."""

    name = "integrity"
    default_auto_field = "django.db.models.BigAutoField"
