"""Which portal a verifier asks, and with which key."""

import os
import ssl
from dataclasses import dataclass, field, replace
from typing import Final

from keyportal_client.address import PortalAddress
from keyportal_client.caller import OF_FORM, is_well_formed
from keyportal_client.errors import AddressError, ConfigurationError, CredentialError, PlainHTTPError

TRUE: Final = ("1", "true", "yes", "on")
NO_PORTAL: Final = "No portal is named. Set KEYPORTAL_PORTAL to its address."
NO_KEY: Final = (
    "This service has no key of its own. Set KEYPORTAL_KEY to one with the scope credentials:verify, which the "
    "portal's operators grant."
)
OR_ALLOW_IT: Final = (
    "In a private network, such as of containers on one machine, set KEYPORTAL_ALLOW_HTTP=true instead."
)


@dataclass(frozen=True)
class Access:
    """The way of a service to its portal."""

    portal: PortalAddress
    key: str = field(repr=False)
    """The secret of the service's own key."""
    timeout: float
    """Seconds to wait for an answer."""
    tls: ssl.SSLContext = field(repr=False, compare=False)
    """What the portal's certificate is checked by."""


def access_to(portal: str | None, key: str | None, timeout: float) -> Access:
    """Return the way to a portal; what is None is taken from the environment.

    Raises `ConfigurationError`, `AddressError`, `CredentialError`.
    """
    secret = service_key(portal, key)
    return replace(public_access_to(portal, timeout), key=secret)


def service_key(portal: str | None, key: str | None) -> str:
    """Return the service's own key. Raises `ConfigurationError`, which names the portal too if that is missing."""
    secret = _setting(key, "KEYPORTAL_KEY")
    if not secret:
        raise ConfigurationError(NO_KEY if _setting(portal, "KEYPORTAL_PORTAL") else f"{NO_PORTAL} {NO_KEY}")
    if not is_well_formed(secret):
        raise CredentialError(f"KEYPORTAL_KEY is no key: {OF_FORM}")
    return secret


def public_access_to(portal: str | None, timeout: float) -> Access:
    """Return the same without a key, for what a portal publishes. Raises the same errors."""
    if not timeout > 0:
        raise ConfigurationError("The timeout of a verifier is a number of seconds above 0.")
    address = portal_address(portal)
    return Access(address, "", timeout, _tls_for(address))


def portal_address(portal: str | None) -> PortalAddress:
    """Return the portal's address, from the environment for None. Raises `ConfigurationError`, `AddressError`."""
    written = _setting(portal, "KEYPORTAL_PORTAL")
    if not written:
        raise ConfigurationError(NO_PORTAL)
    allow_http = os.environ.get("KEYPORTAL_ALLOW_HTTP", "").strip().lower() in TRUE
    try:
        return PortalAddress.parse(written, allow_http=allow_http)
    except AddressError as error:
        name = "KEYPORTAL_PORTAL" if portal is None else "The portal"
        advice = f" {OR_ALLOW_IT}" if isinstance(error, PlainHTTPError) else ""
        raise type(error)(f"{name} is wrong. {error}{advice}") from None


def _setting(given: str | None, variable: str) -> str:
    """Return what was given, or else what the environment says; empty for neither."""
    return (given if given is not None else os.environ.get(variable, "")).strip()


def _tls_for(address: PortalAddress) -> ssl.SSLContext:
    """Return what checks certificates by those that this machine trusts. To read these takes a while."""
    return ssl.create_default_context() if address.is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
