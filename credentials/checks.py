"""System checks of the credentials room."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from credentials.client_address import parse_network
from credentials.quota import parsed_limit

STORES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")


@register("keyportal")
def check_networks(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E020, E021, W021: KEYPORTAL_TRUSTED_PROXIES is no network, everybody, empty. E024: metrics' networks."""
    messages: list[CheckMessage] = []
    if not (settings.KEYPORTAL_TRUSTED_PROXIES or settings.KEYPORTAL_LOCAL):
        hint = "Behind a proxy all people have one address then, and one guesser uses up the log-ins of all."
        messages.append(checks.Warning("KEYPORTAL_TRUSTED_PROXIES is empty.", hint=hint, id="keyportal.W021"))
    for text in settings.KEYPORTAL_TRUSTED_PROXIES:
        try:
            network = parse_network(text)
        except ValueError as error:
            messages.append(Error(f"KEYPORTAL_TRUSTED_PROXIES: {error}.", id="keyportal.E020"))
            continue
        if network.prefixlen == 0:
            messages.append(Error(f"KEYPORTAL_TRUSTED_PROXIES: {text} trusts everybody.", id="keyportal.E021"))
    for text in settings.KEYPORTAL_METRICS_NETWORKS:
        try:
            parse_network(text)
        except ValueError as error:
            messages.append(Error(f"KEYPORTAL_METRICS_NETWORKS: {error}.", id="keyportal.E024"))
    return messages


@register("keyportal")
def check_rate_limit(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E022: KEYPORTAL_RATE_LIMIT is no limit. E023: CACHE_URL is no address of Redis. W020: workers share no count."""
    messages: list[CheckMessage] = []
    limit, store = settings.KEYPORTAL_RATE_LIMIT, settings.CACHE_URL
    try:
        if limit:
            parsed_limit(limit)
    except ValueError as error:
        messages.append(Error(f"KEYPORTAL_RATE_LIMIT: {error}.", id="keyportal.E022"))
    if store and not store.startswith(STORES):
        # The address may hold a password: it is not repeated.
        messages.append(Error(f"CACHE_URL must begin with one of {', '.join(STORES)}", id="keyportal.E023"))
    if limit and not store and settings.KEYPORTAL_WORKERS > 1:
        workers = settings.KEYPORTAL_WORKERS
        hint = f"Set CACHE_URL, or each of the {workers} workers allows the whole of {limit} by itself."
        messages.append(
            checks.Warning("The workers count rate limits each for itself.", hint=hint, id="keyportal.W020")
        )
    return messages
