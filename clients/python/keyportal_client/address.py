"""The addresses that a credential is sent to: https anywhere, http on this machine only."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from keyportal_client.errors import AddressError, PlainHTTPError

EXAMPLE: Final = "Write it like https://keys.example.com."
_BY_OTHER_RULES: Final = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
"""The sharp s, the final sigma, and what joins letters (UTS 46, “Deviations”)."""
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class PortalAddress:
    """Where a portal is: scheme, host and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, allow_http: bool = False) -> "PortalAddress":
        """Return the address that a person wrote, with https unless they wrote a scheme.

        Raises `PlainHTTPError` for http to another machine unless that is allowed, and `AddressError` for more than an
        address: a path, a query, a password.
        """
        written = text.strip()
        try:
            parts = urlsplit(written if "://" in written else f"https://{written}")
            host, port = _ascii(parts.hostname or ""), parts.port
        except ValueError as error:
            raise AddressError(f"This is not the address of a portal. {EXAMPLE}") from error
        if parts.scheme not in _PORTS or not host:
            raise AddressError(f"This is not the address of a portal. {EXAMPLE}")
        if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
            raise AddressError(f"The address of a portal has a host and maybe a port, and nothing else. {EXAMPLE}")
        if parts.scheme == "http" and not (allow_http or is_loopback(host)):
            raise PlainHTTPError("Others could read what is sent over plain http. Use the portal's https address.")
        return cls(parts.scheme, host, port or _PORTS[parts.scheme])

    @property
    def is_https(self) -> bool:
        """Return whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Return whether the portal is on this machine."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ascii(host: str) -> str:
    """Return a host name in the form that DNS knows. Raises ValueError.

    Python writes it by the rules of 2003. A few letters are others by those of 2008, which browsers follow, and so is
    the host: such a name has to be written in its ASCII form.
    """
    if not host.isprintable() or " " in host or _BY_OTHER_RULES.search(host):
        raise ValueError("not a host")
    return host.encode("idna").decode() if not host.isascii() else host
