"""Django's configuration of the tokens app."""

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """The tokens app. It has nothing to set up: the accounts app registers the checks."""

    name = "tokens"
    default_auto_field = "django.db.models.BigAutoField"
