"""One request to the portal and its answer, as httpx makes them, and what is known when there is none.

httpx's transports are used without its client, which logs a line for each request: a verifier polls four times a
second. No redirect is followed, and nothing of the environment is heeded but the proxy.
"""

import time
from typing import Final, NamedTuple

import httpx

from keyportal_client import __version__
from keyportal_client.address import PortalAddress
from keyportal_client.errors import PortalAwayError, UnreachableError
from keyportal_client.reaching import proxy_for, why_unconnected
from keyportal_client.verifying.access import Access
from keyportal_client.verifying.answers import Answer

MAX_ANSWER: Final = 1024 * 1024
"""Bytes of an answer. A thousand changes have a few ten thousand."""
MAX_IDLE: Final = 30.0
"""Seconds after which a kept connection is not used again. The portal closes those that were idle for 75."""
SILENCE: Final = 1.0
"""Seconds for which nothing is asked after the portal did not answer."""
FAILURES: Final = (httpx.HTTPError, UnreachableError, OSError, ValueError)
"""What a request can end with: httpx's own errors, an odd proxy, and what httpx does not translate."""
AGENT: Final = f"keyportal-client/{__version__} (verifier)"
KEPT: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=MAX_IDLE)
NOT_KEPT: Final = httpx.Limits(max_connections=100, max_keepalive_connections=0)


class Call(NamedTuple):
    """A request to the portal."""

    method: str
    path: str
    body: bytes | None = None
    is_public: bool = False
    """Whether it is sent without the service's key."""

    def __repr__(self) -> str:  # its body may hold a credential
        return f"Call({self.method} {self.path.partition('?')[0]})"


class Trace:
    """Notes whether a request made a connection of its own. A kept one may have been closed meanwhile."""

    def __init__(self) -> None:
        self.has_connected = False

    def __call__(self, event: str, info: object) -> None:
        """Heed an event of httpcore's."""
        self.has_connected = self.has_connected or event == "connection.connect_tcp.started"

    async def heed(self, event: str, info: object) -> None:
        """Do the same for an asynchronous request."""
        self(event, info)


class Body:
    """The body of an answer while it arrives: bounded in size and in time. Raises `httpx.HTTPError`."""

    def __init__(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._read = bytearray()

    def add(self, chunk: bytes) -> None:
        """Add what has arrived."""
        self._read += chunk
        if len(self._read) > MAX_ANSWER:
            raise httpx.RemoteProtocolError("too large")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout("too slow")

    def __bytes__(self) -> bytes:
        return bytes(self._read)


def request_of(call: Call, access: Access, *, timeout: float, trace: object) -> httpx.Request:
    """Return a request as httpx's transports send it."""
    headers = {"Accept": "application/json", "User-Agent": AGENT}
    if not call.is_public:
        headers["Authorization"] = f"Bearer {access.key}"
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    timeouts = httpx.Timeout(timeout, connect=timeout / 2).as_dict()
    extensions = {"timeout": timeouts, "trace": trace}
    return httpx.Request(
        call.method, f"{access.portal}{call.path}", headers=headers, content=call.body, extensions=extensions
    )


def answer_of(response: httpx.Response, body: Body) -> Answer:
    """Return an answer that has arrived as a whole."""
    return Answer(response.status_code, response.headers.get("Retry-After", ""), bytes(body))


def is_stale(error: Exception, trace: Trace) -> bool:
    """Return whether it failed because the portal had closed a kept connection, so that another one may do."""
    return isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)) and not trace.has_connected


def away(error: Exception, portal: PortalAddress, *, timeout: float) -> PortalAwayError:
    """Return the error that says why there is no answer, without anything of the request.

    It is the same for polls, which wait less long, so that one portal that hangs is one fault.
    """
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        message = f"{portal} did not answer in time. Check the address, your network, and the portal's load."
    elif isinstance(error, UnreachableError):
        message = str(error)
    elif isinstance(error, (httpx.ReadError, httpx.WriteError, httpx.CloseError)):
        message = f"{portal} closed the connection without an answer."
    elif isinstance(error, httpx.ProtocolError):
        message = f"What answers at {portal} does not speak HTTP as it should. Check the address."
    else:
        message = why_unconnected(portal, _cause(error), timeout=timeout)
    return PortalAwayError(message, pause=SILENCE)


def _cause(error: BaseException) -> BaseException:
    """Return what went wrong below httpx."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


def proxy_of(access: Access) -> httpx.Proxy | None:
    """Return the proxy through which the portal is reached, if there is one. Raises `UnreachableError`."""
    proxy = proxy_for(access.portal)
    if proxy is None:
        return None
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return httpx.Proxy(f"http://{host}:{proxy.port}", headers=proxy.headers)
