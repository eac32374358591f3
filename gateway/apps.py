"""The gateway room as a Django application."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """Nothing to set up: checks are found by the accounts room."""

    name = "gateway"
    default_auto_field = "django.db.models.BigAutoField"
