"""System checks of the credentials room."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from credentials.client_address import parse_network


@register("keyportal")
def check_trusted_proxies(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E020: an entry of KEYPORTAL_TRUSTED_PROXIES is no network. E021: it trusts everybody."""
    messages: list[CheckMessage] = []
    for text in settings.KEYPORTAL_TRUSTED_PROXIES:
        try:
            network = parse_network(text)
        except ValueError as error:
            messages.append(Error(f"KEYPORTAL_TRUSTED_PROXIES: {error}.", id="keyportal.E020"))
            continue
        if network.prefixlen == 0:
            messages.append(Error(f"KEYPORTAL_TRUSTED_PROXIES: {text} trusts everybody.", id="keyportal.E021"))
    return messages
