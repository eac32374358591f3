"""How a portal is reached: through which proxy, and why not."""

import base64
import ssl
from socket import gaierror
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from keyportal_client.address import PortalAddress
from keyportal_client.errors import UnreachableError


def why_unconnected(portal: PortalAddress, error: BaseException, *, timeout: float) -> str:
    """Return what is known of a connection that could not be made, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {portal} is not valid for it: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        local = " Without TLS, the address begins with http://." if portal.is_loopback else ""
        return f"What answers at {portal} does not use TLS as it should. Check the address and the port.{local}"
    if isinstance(error, gaierror):
        return f"There is no host named {portal.host}. Check the address."
    if isinstance(error, TimeoutError):
        return f"{portal} did not answer within {timeout:g} s."
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing answers at {portal}. Check the address, and whether the portal is running."
    return f"There is no connection to {portal}. Check the address, your network and its proxy."


class Proxy(NamedTuple):
    """A proxy through which a portal is reached, and what it is sent."""

    host: str
    port: int
    headers: dict[str, str]


def proxy_for(portal: PortalAddress) -> Proxy | None:
    """Return the proxy that the environment names for this portal, if it goes through one. Raises `UnreachableError`.

    The address may hold a password, so the error does not repeat it.
    """
    if portal.is_loopback or proxy_bypass(portal.host):
        return None
    address = getproxies().get("https")
    if not address:
        return None
    try:
        proxy = urlsplit(address if "://" in address else f"http://{address}")
        host, port = proxy.hostname, proxy.port
    except ValueError:
        host = None
    if host is None or proxy.scheme.lower() != "http":
        # The standard library has no TLS to a proxy: its password would go there in clear, against what was asked for.
        raise UnreachableError("HTTPS_PROXY names no proxy that can be used. Write http://host:port.", was_sent=False)
    return Proxy(host, port or 80, _proxy_headers(proxy))


def httpx_proxy_for(portal: PortalAddress) -> httpx.Proxy | None:
    """Return the same as httpx wants it. Raises `UnreachableError`."""
    proxy = proxy_for(portal)
    if proxy is None:
        return None
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return httpx.Proxy(f"http://{host}:{proxy.port}", headers=proxy.headers)


def cause_of(error: BaseException) -> BaseException:
    """Return what went wrong below httpx."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
