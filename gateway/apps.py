"""Django's configuration of the gateway app."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """The gateway app. It has nothing to set up: the accounts app registers the checks."""

    name = "gateway"
    default_auto_field = "django.db.models.BigAutoField"
