"""One request to a portal and its answer. Nothing is followed, guessed, or taken from a .netrc file.

httpx's transport is used without its client, which would do all that: it follows no redirect and adds no credential.
"""

import ssl
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import httpx

from keyportal_client import __version__
from keyportal_client.address import PortalAddress
from keyportal_client.bounded import BoundedTransport
from keyportal_client.errors import KeyportalError, UnexpectedAnswerError, UnreachableError
from keyportal_client.reaching import cause_of, httpx_proxy_for, why_unconnected

TIMEOUT: Final = 15.0
"""Seconds to connect, and again to wait for an answer."""
MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer. A page of a hundred keys has some hundred thousand."""
_FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
"""What a request can end with: httpx's own errors, and what it does not translate."""
_DROPPED: Final = (httpx.NetworkError, ssl.SSLError, ConnectionError)


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def __repr__(self) -> str:  # the headers hold a credential, the body may
        return f"Call({self.method} {self.path.partition('?')[0]})"


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Their names are found in any case."""
    body: bytes


class Transport:
    """Sends requests to one portal."""

    def __init__(self, portal: PortalAddress, *, timeout: float = TIMEOUT, agent: str = "") -> None:
        self.portal = portal
        self._timeout = timeout
        self._agent = f"keyportal-client/{__version__} {agent}".strip()

    def send(self, call: Call) -> Answer:
        """Return the answer to one request. Raises `UnreachableError`, `UnexpectedAnswerError`."""
        outcome = self._try(call)
        if isinstance(outcome, Answer):
            return outcome
        # Not where it was caught: what httpx raises holds the request, and with it the credential.
        raise outcome

    def _try(self, call: Call) -> Answer | KeyportalError:
        """Return the answer, or why there is none."""
        progress = _Progress()
        try:
            with self._open() as transport, transport.within(2 * self._timeout):
                return self._exchange(transport, call, progress)
        except KeyportalError as error:
            return error
        except _FAILURES as error:
            return self._why(error, progress)

    def _open(self) -> BoundedTransport:
        """Return a connection of this request's own. Raises `UnreachableError`."""
        portal = self.portal
        tls = ssl.create_default_context() if portal.is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # TLS goes through the tunnel to the portal itself: a proxy sees its name and nothing else.
        return BoundedTransport(verify=tls, proxy=httpx_proxy_for(portal))

    def _exchange(self, transport: BoundedTransport, call: Call, progress: "_Progress") -> Answer:
        headers = {"Accept": "application/json", "User-Agent": self._agent, "Connection": "close", **call.headers}
        extensions = {"timeout": httpx.Timeout(self._timeout).as_dict(), "trace": progress}
        url = f"{self.portal}{call.path}"
        request = httpx.Request(call.method, url, headers=headers, content=call.body, extensions=extensions)
        response = transport.handle_request(request)
        progress.is_answered = True
        try:
            return Answer(response.status_code, response.headers, self._read(response))
        finally:
            response.close()

    def _read(self, response: httpx.Response) -> bytes:
        """Return the body, which must come as a whole within the timeout."""
        deadline, body = time.monotonic() + self._timeout, bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise UnexpectedAnswerError(f"The answer of {self.portal} is too large to be one of a portal.")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("too slow")
        return bytes(body)

    def _why(self, error: Exception, progress: "_Progress") -> KeyportalError:
        """Return why there is no answer, without anything of the request."""
        if not progress.is_sent and not isinstance(error, httpx.LocalProtocolError):
            reason = TimeoutError() if isinstance(error, httpx.TimeoutException) else cause_of(error)
            return UnreachableError(why_unconnected(self.portal, reason, timeout=self._timeout), was_sent=False)
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(f"{self.portal} did not answer within {self._timeout:g} s.", was_sent=True)
        if isinstance(error, _DROPPED) or progress.was_cut(error):
            message = f"{self.portal} closed the connection without an answer."
            return UnreachableError(message, was_sent=True, was_dropped=True)
        return UnexpectedAnswerError(f"What answers at {self.portal} does not speak HTTP as it should.")


class _Progress:
    """How far a request got."""

    def __init__(self) -> None:
        self.is_sent = False
        """Whether the portal may have seen some of it."""
        self.is_answered = False
        """Whether the head of an answer has come."""

    def __call__(self, event: str, info: Mapping[str, object]) -> None:
        """Heed an event of httpcore's. A proxy is sent a request of its own, for the tunnel."""
        method = getattr(info.get("request"), "method", b"")
        self.is_sent = self.is_sent or (event.endswith("send_request_headers.started") and method != b"CONNECT")

    def was_cut(self, error: Exception) -> bool:
        """Return whether the connection ended too early, and not by something that is not HTTP.

        Before the head, httpcore says so itself; what can't be read has an error of the parser below.
        """
        return isinstance(error, httpx.RemoteProtocolError) and (self.is_answered or not _is_of_the_parser(error))


def _is_of_the_parser(error: Exception) -> bool:
    return type(cause_of(error)).__module__.partition(".")[0] == "h11"
