"""One request to a portal and its answer. Nothing is followed, guessed, or taken from a .netrc file.

The standard library's client is used for what it leaves out: it follows no redirect and adds no credential of its own.
"""

import base64
import ssl
import time
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import gaierror
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from keyportal_client import __version__
from keyportal_client.address import PortalAddress
from keyportal_client.errors import UnexpectedAnswerError, UnreachableError

TIMEOUT: Final = 15.0
"""Seconds to connect, and again to wait for an answer."""
MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer. A page of a hundred keys has some hundred thousand."""
_CHUNK: Final = 65536


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: Message
    body: bytes


class Transport:
    """Sends requests to one portal."""

    def __init__(self, portal: PortalAddress, *, timeout: float = TIMEOUT, agent: str = "") -> None:
        self.portal = portal
        self._timeout = timeout
        self._agent = f"keyportal-client/{__version__} {agent}".strip()

    def send(self, call: Call) -> Answer:
        """Return the answer to one request. Raises `UnreachableError`, `UnexpectedAnswerError`."""
        connection = self._connection()
        try:
            self._connect(connection)
            return self._exchange(connection, call)
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        portal = self.portal
        if not portal.is_https:
            return HTTPConnection(portal.host, portal.port, timeout=self._timeout)
        context, proxy = ssl.create_default_context(), _proxy_for(portal)
        if proxy is None:
            return HTTPSConnection(portal.host, portal.port, timeout=self._timeout, context=context)
        # TLS goes through the tunnel to the portal itself: the proxy sees its name and nothing else.
        connection = HTTPSConnection(proxy.host, proxy.port, timeout=self._timeout, context=context)
        connection.set_tunnel(portal.host, portal.port, headers=proxy.headers)
        return connection

    def _connect(self, connection: HTTPConnection) -> None:
        try:
            connection.connect()
        except (OSError, HTTPException, ValueError) as error:
            raise UnreachableError(self._why_unconnected(error), was_sent=False) from error

    def _why_unconnected(self, error: Exception) -> str:
        portal = self.portal
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"The certificate of {portal} is not valid for it: {error.verify_message}."
        if isinstance(error, ssl.SSLError):
            return f"What answers at {portal} does not use TLS as it should. Check the address and the port."
        if isinstance(error, gaierror):
            return f"There is no host named {portal.host}. Check the address."
        if isinstance(error, TimeoutError):
            return f"{portal} did not answer within {self._timeout:g} s."
        if isinstance(error, ConnectionRefusedError):
            return f"Nothing answers at {portal}. Check the address, and whether the portal is running."
        return f"There is no connection to {portal}. Check the address, your network and its proxy."

    def _exchange(self, connection: HTTPConnection, call: Call) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": self._agent, "Connection": "close", **call.headers}
        try:
            connection.request(call.method, call.path, call.body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, self._read(response))
        except TimeoutError as error:
            message = f"{self.portal} did not answer within {self._timeout:g} s."
            raise UnreachableError(message, was_sent=True) from error
        except (ConnectionError, IncompleteRead, ssl.SSLError) as error:
            message = f"{self.portal} closed the connection without an answer."
            raise UnreachableError(message, was_sent=True, was_dropped=True) from error
        except (OSError, HTTPException) as error:
            raise UnexpectedAnswerError(f"What answers at {self.portal} does not speak HTTP as it should.") from error

    def _read(self, response: HTTPResponse) -> bytes:
        """Return the body, which must come as a whole within the timeout."""
        deadline, body = time.monotonic() + self._timeout, bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > MAX_ANSWER:
                raise UnexpectedAnswerError(f"The answer of {self.portal} is too large to be one of a portal.")
            if time.monotonic() > deadline:
                raise TimeoutError
        if response.length:
            raise ConnectionAbortedError
        return bytes(body)


class _Proxy(NamedTuple):
    host: str
    port: int
    headers: dict[str, str]


def _proxy_for(portal: PortalAddress) -> _Proxy | None:
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
    return _Proxy(host, port or 80, _proxy_headers(proxy))


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
