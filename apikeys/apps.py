"""Django's configuration of the apikeys app."""

from django.apps import AppConfig


class APIKeysConfig(AppConfig):
    """The apikeys app. It has nothing to set up: the accounts app registers the checks."""

    name = "apikeys"
    verbose_name = "API keys"
    default_auto_field = "django.db.models.BigAutoField"
