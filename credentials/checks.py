"""System checks for trusted proxies, plain HTTP and rate limits."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from audit.client_address import parse_network

PRIVATE = tuple(
    map(
        parse_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
"""Networks that are not routed on the internet (RFC 1918, 3927, 4193, 4291, 6598)."""
NO_PROXY = (
    "Behind a proxy that terminates TLS, every page then redirects to itself forever, because the portal can't tell "
    "that the client used https. All clients share the proxy's address, so one that guesses passwords uses up the "
    "log-ins of all. Name the proxy's address or network, or `unix` if it connects over a Unix socket."
)


@register("keyportal")
def check_proxies(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E021 if KEYPORTAL_TRUSTED_PROXIES trusts every address, W021 if it is empty where a proxy is needed."""
    if not settings.KEYPORTAL_TRUSTED_PROXIES:
        if settings.KEYPORTAL_LOCAL or settings.KEYPORTAL_ENDS_TLS:
            return []
        return [checks.Warning("KEYPORTAL_TRUSTED_PROXIES is empty.", hint=NO_PROXY, id="keyportal.W021")]
    if any(_holds_every_address(text) for text in settings.KEYPORTAL_TRUSTED_PROXIES):
        hint = "Any client could then forge the address that it comes from. Name the proxy's own address or network."
        return [Error("KEYPORTAL_TRUSTED_PROXIES trusts everyone.", hint=hint, id="keyportal.E021")]
    return []


@register("keyportal")
def check_plain_http(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E026 if KEYPORTAL_PLAIN_HTTP_NETWORKS holds every address, W022 if it reaches beyond private networks."""
    networks = settings.KEYPORTAL_PLAIN_HTTP_NETWORKS
    if any(map(_holds_every_address, networks)):
        hint = (
            "Keys, passwords and tokens would cross the internet unencrypted. Name the networks of your own services."
        )
        return [Error("KEYPORTAL_PLAIN_HTTP_NETWORKS allows everyone.", hint=hint, id="keyportal.E026")]
    if all(map(_is_private, networks)):
        return []
    hint = "What its hosts send over plain http can be read in transit. Give them an https address."
    text = "KEYPORTAL_PLAIN_HTTP_NETWORKS names a network that is not private."
    return [checks.Warning(text, hint=hint, id="keyportal.W022")]


@register("keyportal")
def check_rate_limit_counting(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return W020 if there are several workers and each counts rate limits by itself."""
    workers = settings.KEYPORTAL_WORKERS
    if not settings.KEYPORTAL_RATE_LIMIT or settings.CACHE_URL or workers == 1:
        return []
    hint = f"A key gets up to {workers} times KEYPORTAL_RATE_LIMIT. Set CACHE_URL, or use one worker."
    return [checks.Warning("Each worker counts rate limits separately.", hint=hint, id="keyportal.W020")]


def _is_private(text: str) -> bool:
    try:
        network = parse_network(text)
    except ValueError:
        return True  # E025 reports it
    return any(network.version == other.version and network.subnet_of(other) for other in PRIVATE)  # type: ignore[arg-type]  # of one version


def _holds_every_address(text: str) -> bool:
    try:
        return parse_network(text).prefixlen == 0
    except ValueError:
        return False  # E020 reports it
