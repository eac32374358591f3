"""The address of the client that sent a request, read as the portal reads it."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

Address = IPv4Address | IPv6Address

MAX_LENGTH: Final = 128
"""Characters of an address, with its port and zone."""


class ClientAddress(NamedTuple):
    """An address in both forms."""

    address: Address | None
    """None if there is none, as behind a Unix socket, or if a text is none."""
    text: str
    """Empty without an address."""


NOWHERE: Final = ClientAddress(None, "")


def client_address(text: str | None) -> ClientAddress:
    """Return the IPv4 or IPv6 address in a text with or without a port. ::ffff:1.2.3.4 becomes 1.2.3.4."""
    return _parse(text) if text and len(text) <= MAX_LENGTH else NOWHERE


@lru_cache(maxsize=4096)
def _parse(text: str) -> ClientAddress:
    bare = text
    if text.startswith("["):
        bare = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        bare = text.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return NOWHERE
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # without its zone, which has a meaning on one machine only
        address = address.ipv4_mapped or address
    return ClientAddress(address, str(address))
