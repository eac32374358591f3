"""Networks whose machines are believed, which the service's operators name."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from keyportal_client.errors import ConfigurationError
from keyportal_client.verifying.client_address import client_address

UNIX: Final = "unix"
"""Stands for the peer at the other end of a Unix socket, which has no address."""


class Networks:
    """Some networks, as `10.0.0.0/8`, `2001:db8::/32`, a single address or `unix`."""

    def __init__(self, texts: Collection[str], *, name: str) -> None:
        if isinstance(texts, str):
            raise ConfigurationError(f"{name} is a list of networks, not one text.")
        self._has_unix = UNIX in texts
        self._networks = tuple(_parse(text, name) for text in texts if text != UNIX)

    def __contains__(self, peer: str | None) -> bool:
        """Return whether a peer is in one of them. Text that is no address is in none."""
        if not peer:
            return self._has_unix
        if not self._networks:  # mostly
            return False
        address = client_address(peer).address
        return address is not None and any(address in network for network in self._networks)


def _parse(text: str, name: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError:
        raise ConfigurationError(f"Not all of {name} are networks: write 10.0.0.0/8 or 2001:db8::/32.") from None
