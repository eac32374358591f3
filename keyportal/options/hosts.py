"""The portal's URL, further hosts, and where it listens, normalized to the one spelling that everything else uses.

Issuer, links, origins and allowed hosts are compared character by character (RFC 8414 §3.3), but operators write
capitals, the default port, a slash or a dot at the end.
"""

import re
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from keyportal.options.kinds import Kind, UnsuitableError, list_of

ALONE: Final = "the portal's address alone, without a path, such as https://keys.example.com"
HIGHEST: Final = 65_535
_USUAL: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:\[]*)(:.*)?")
_PORT: Final = re.compile(r":0*([1-9][0-9]{0,4})")
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER: Final = re.compile(r"(.*\.)?[0-9]+")
_MAX_NAME: Final = 253  # characters of a name (RFC 1035 §2.3.4)
_SOCKET: Final = re.compile(r"unix:/[!-~]{1,100}")
"""The path of a Unix socket; the kernel takes at most 107 bytes."""
_NO_NAME: Final = "its host is neither a name nor an address"


def portal_address() -> Kind:
    """Return the kind of the portal's own URL."""
    return Kind("address", ALONE, _portal_address)


def hosts() -> Kind:
    """Return the kind of a list of host names."""
    return list_of(Kind("host", "a host name, without scheme and port", _host_alone), "hosts")


def listeners() -> Kind:
    """Return the kind of a list of addresses to listen at, one or more, as gunicorn writes them."""
    expected = "an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000, or unix:/ and the path of a socket"
    several = list_of(Kind("address", expected, _listener), "addresses")
    return replace(several, read=partial(_at_least_one, several))


def _at_least_one(several: Kind, text: str) -> Any:
    found = several.read(text)
    if not found:
        raise UnsuitableError("must be one address or more")
    return found


def _listener(text: str) -> str:
    if _SOCKET.fullmatch(text):
        return text
    parts = _AUTHORITY.fullmatch(text)
    port = _PORT.fullmatch((parts and parts[2]) or "")
    if parts is None or port is None or int(port[1]) > HIGHEST or "%" in text:  # nor a zone
        raise ValueError
    host = f"[{IPv6Address(parts[1][1:-1])}]" if text.startswith("[") else str(IPv4Address(parts[1]))
    return f"{host}:{int(port[1])}"


def _portal_address(text: str) -> str:
    try:
        return _normalize_url(text)
    except UnsuitableError as fault:
        reason = str(fault)
    raise UnsuitableError(f"must be {ALONE}; {reason}")


def _normalize_url(text: str) -> str:
    """Return a URL in its one spelling. Raises `UnsuitableError` with the reason, which quotes nothing."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _USUAL:
        raise UnsuitableError("it does not begin with https:// (in local mode http://)")
    if "@" in rest:  # checked first, because a password may contain anything
        raise UnsuitableError("it has an @ in it, but takes no user or password")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    beyond = rest[len(authority) :]
    if "?" in beyond or "#" in beyond:
        raise UnsuitableError("it has a ? or a # after the host")
    if beyond.strip("/"):
        raise UnsuitableError("it has a path, but the portal answers at the root of a host: give it one of its own")
    host, port = _host_and_port(authority)
    return f"{scheme}://{host}" + ("" if port in (None, _USUAL[scheme]) else f":{port}")


def _host_and_port(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if not authority or parts is None:
        raise UnsuitableError(_NO_NAME if authority else "it has no host")
    if parts[2] is None:
        return _host(parts[1]), None
    port = _PORT.fullmatch(parts[2])
    if port is None or int(port[1]) > HIGHEST:
        raise UnsuitableError(f"its port is not a number from 1 to {HIGHEST}")
    return _host(parts[1]), int(port[1])


def _host_alone(text: str) -> str:
    try:
        return _host(text)
    except UnsuitableError:
        raise ValueError from None


def _host(text: str) -> str:
    """Return a host in lower case, without a dot at its end. Raises `UnsuitableError`."""
    if not text.isascii():
        raise UnsuitableError("its host is not in ASCII: write a name with other letters as xn--…")
    name = text.lower().removesuffix(".")
    try:
        if name[:1] == "[" and "%" not in name:  # a zone has a meaning on one machine only
            return f"[{IPv6Address(name[1:-1])}]"
        if _NUMBER.fullmatch(name):
            return str(ip_address(name))
    except ValueError:
        name = ""
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise UnsuitableError(_NO_NAME)
    return name
