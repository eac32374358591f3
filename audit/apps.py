"""The Django application `audit`."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The application's configuration."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"
