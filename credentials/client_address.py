"""Where a request comes from, behind trusted proxies: the address that the nearest of them vouches for."""

import random
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.conf import settings

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9.-]{8,64}")

IPV6: Final = 6
LONGEST: Final = 128
"""Characters of an address with its port and its zone."""
UNIX: Final = "unix"
"""In KEYPORTAL_TRUSTED_PROXIES: whoever asks over a Unix socket, and so has no address."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: Address | None, forwarded: str) -> Address | None:
    """Return the client's address: the peer, or if that is a trusted proxy, the first untrusted one from the right.

    `forwarded` is what X-Forwarded-For says. None if there is no address at all: over a Unix socket, from a proxy that
    forwards none or is not trusted. A forwarded entry that is no address ends the walk: what stands left of it was
    written by nobody we trust.
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
    """Return whether an id that somebody gave a request is well formed."""
    return _REQUEST_ID.fullmatch(text) is not None


def new_request_id() -> str:
    """Return a fresh id for a request."""
    # It names a request and guards nothing: the operating system's generator would be a system call for each.
    return random.randbytes(16).hex()  # noqa: S311


def is_trusted_proxy(address: Address | None) -> bool:
    """Return whether forwarded headers from this peer are to be believed: by default from nobody."""
    trusted = tuple(settings.KEYPORTAL_TRUSTED_PROXIES)
    if address is None:
        return UNIX in trusted
    return is_in(address, trusted)


def is_in(address: Address, networks: Iterable[str]) -> bool:
    """Return whether an address lies in one of these networks."""
    return any(address in network for network in _networks(tuple(networks)))


def parse_address(text: str) -> Address | None:
    """Read an IPv4 or IPv6 address, with or without a port; None if it is none. ::ffff:1.2.3.4 is 1.2.3.4."""
    return _parsed(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
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
        address = IPv6Address(int(address))  # a zone means something on one machine only, and may be of any length
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Read `10.0.0.0/8`, `2001:db8::/32` or a single address. Raises ValueError."""
    return ip_network(text.strip(), strict=True)


@cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in texts if text != UNIX)
