"""The client's address behind trusted proxies, and request ids."""

import random
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.conf import settings

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9.-]{8,64}")

IPV6: Final = 6
MAX_LENGTH: Final = 128
"""Characters of an address, with its port and zone."""
UNIX: Final = "unix"
"""In KEYPORTAL_TRUSTED_PROXIES, the peer at the other end of a Unix socket, which has no address."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: Address | None, forwarded: str) -> Address | None:
    """Return the client's address: the peer's, or behind a trusted proxy the first untrusted one from the right.

    `forwarded` is the value of X-Forwarded-For. Return None if there is no address at all, as over a Unix socket whose
    peer is not trusted or forwards none. A forwarded entry that is not an address ends the walk: what stands left of it
    was not written by a proxy that we trust.
    """
    address = peer
    if not is_trusted_proxy(address):
        return address
    for entry in reversed(forwarded.split(",")):
        hop = parse_address(entry.strip())
        if hop is None:
            return address
        address = hop
        if not is_trusted_proxy(address):
            return address
    return address


def is_request_id(text: str) -> bool:
    """Return whether a request id from outside is well formed."""
    return _REQUEST_ID.fullmatch(text) is not None


def new_request_id() -> str:
    """Return a fresh request id, 32 hexadecimal digits."""
    # The id protects nothing, and the operating system's generator would cost a system call for each request.
    return random.randbytes(16).hex()  # noqa: S311


def is_trusted_proxy(address: Address | None) -> bool:
    """Return whether forwarded headers from this peer may be believed. By default no peer is trusted."""
    trusted = tuple(settings.KEYPORTAL_TRUSTED_PROXIES)
    if address is None:
        return UNIX in trusted
    return is_in(address, trusted)


def is_in(address: Address, networks: Iterable[str]) -> bool:
    """Return whether the address is in one of these networks."""
    return any(address in network for network in _networks(tuple(networks)))


def parse_address(text: str) -> Address | None:
    """Return the IPv4 or IPv6 address in a text with or without a port, or None. ::ffff:1.2.3.4 becomes 1.2.3.4."""
    return parse_short_address(text) if len(text) <= MAX_LENGTH else None


@lru_cache(maxsize=4096)
def parse_short_address(text: str) -> Address | None:
    """Return the same for a text that is known to be short, such as a resolved address: each is kept in memory."""
    bare = text
    if text.startswith("["):
        bare = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        bare = text.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if address.version == IPV6 and address.scope_id:
        address = IPv6Address(int(address))  # a zone has a meaning on one machine only, and any length
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Return the network for `10.0.0.0/8`, `2001:db8::/32` or a single address. Raises ValueError."""
    return ip_network(text.strip(), strict=True)


@cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in texts if text != UNIX)
