"""Django's configuration of the tokens app."""

from importlib import import_module

from django.apps import AppConfig
from typing_extensions import override


class TokensConfig(AppConfig):
    """The tokens app. The accounts app registers its checks."""

    name = "tokens"
    default_auto_field = "django.db.models.BigAutoField"

    @override
    def ready(self) -> None:
        """Connect the signals, which needs the models."""
        import_module("tokens.services.trial").connect_signals()
