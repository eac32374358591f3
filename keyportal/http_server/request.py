"""A request as the client sent it, and how much of it the portal believes.

Every header line is stored under the name that was sent, in lower case. So `X_Forwarded_For` and `X-Forwarded-For` are
different headers; WSGI alone would merge them.
"""

import logging
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from audit.client_address import Address, client_address, is_request_id, new_request_id
from keyportal.http_server.response import Response

logger = logging.getLogger(__name__)

ENCRYPTED: Final = frozenset({"https", "wss"})
"""Values of X-Forwarded-Proto that mean TLS. Some proxies send the scheme of WebSockets."""


class UnreadableError(Exception):
    """A request that is refused before its target is considered."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        """A sentence for the client, which quotes nothing that it sent."""


class Sender(NamedTuple):
    """The sender of a request, as far as trusted peers say."""

    peer: Address | None
    """The other end of the connection; None over a Unix socket."""
    address: Address | None
    """The client's address."""
    scheme: str
    request_id: str


class Request:
    """A request, as far as it has arrived."""

    __slots__ = (
        "body",
        "buffered",
        "headers",
        "in_clear",
        "is_abandoned",
        "is_complete",
        "is_dispatched",
        "is_trusted",
        "keep_alive",
        "method",
        "named",
        "path",
        "peer",
        "query",
        "response",
        "scheme",
        "size",
        "version",
    )

    def __init__(self, peer: Address | None, is_trusted: bool, scheme: str, in_clear: bool = False) -> None:
        self.peer = peer
        """The address of the other end; None over a Unix socket."""
        self.is_trusted = is_trusted
        """Whether the peer's forwarded headers are believed."""
        self.scheme = scheme
        """The scheme of the connection."""
        self.in_clear = in_clear
        """Whether others can read what passes over the connection."""
        self.method = ""
        self.path = ""
        """Each character is a byte, decoded from `%xx`."""
        self.query = ""
        """Each character is a byte, as it was sent."""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        """Names in lower case."""
        self.named: dict[bytes, bytes] = {}
        """The headers by name (the last line of each), once the head is complete."""
        self.body = bytearray()
        self.size = 0
        """Bytes of the body that have arrived."""
        self.buffered = 0
        """Bytes that the host counts as buffered."""
        self.keep_alive = True
        self.is_complete = False
        """Whether all of it has arrived."""
        self.is_dispatched = False
        """Whether it is being answered, or has been."""
        self.is_abandoned = False
        """Whether the client no longer waits for the response."""
        self.response: Response | None = None

    def set_target(self, target: bytes) -> None:
        """Set path and query from a target in its usual form (RFC 9112 §3.2.1)."""
        raw, _, query = target.partition(b"?")
        self.path = (unquote_to_bytes(raw) if b"%" in raw else raw).decode("latin-1")
        self.query = query.decode("latin-1")

    def has_body(self) -> bool:
        """Return whether a body follows the head."""
        named = self.named
        return b"transfer-encoding" in named or bool(named.get(b"content-length", b"").strip(b"0 "))

    def is_half(self) -> bool:
        """Return whether part of it has not arrived yet."""
        return not self.is_complete and self.has_body()

    def header_values(self, name: bytes) -> list[str]:
        """Return the values of every header line of this name, in the order in which they arrived."""
        return [value.decode("latin-1") for sent, value in self.headers if sent == name]

    def header_value(self, name: bytes) -> str | None:
        """Return a header's value, or None. Several lines are joined by commas (RFC 9110 §5.3)."""
        value = self.named.get(name)
        if value is None or len(self.named) == len(self.headers):
            return None if value is None else value.decode("latin-1")
        return ",".join(self.header_values(name))

    def sender(self) -> Sender:
        """Return the sender. Forwarded headers count only under their exact names, and from a trusted proxy."""
        if not self.is_trusted:
            if self.peer is None:
                _warn_of_the_socket()
            return Sender(self.peer, self.peer, self.scheme, new_request_id())
        ids = self.header_values(b"x-request-id")
        return Sender(
            self.peer,
            client_address(self.peer, ",".join(self.header_values(b"x-forwarded-for"))),
            self.forwarded_scheme() or self.scheme,
            ids[0] if len(ids) == 1 and is_request_id(ids[0]) else new_request_id(),
        )

    def forwarded_scheme(self) -> str:
        """Return the scheme that a trusted proxy reports for its client; empty if it reports none."""
        value = ",".join(self.header_values(b"x-forwarded-proto")) if self.is_trusted else ""
        return _parse_forwarded_proto(value) if value else ""

    def arrived_in_clear(self) -> bool:
        """Return whether others could have read it. A proxy's report on its client counts more than the connection."""
        forwarded = self.forwarded_scheme() if self.is_trusted else ""
        return forwarded == "http" if forwarded else self.in_clear


@lru_cache(maxsize=64)
def _parse_forwarded_proto(value: str) -> str:
    """Return what X-Forwarded-Proto says: https if every value does, http for anything else, empty for nothing.

    A proxy that appends to the header may pass on false values before its own, and one hop in clear is enough to be
    read.
    """
    schemes = {scheme.strip().lower() for scheme in value.split(",")} - {""}
    if not schemes:
        return ""
    return "https" if schemes <= ENCRYPTED else "http"


@cache
def _warn_of_the_socket() -> None:
    """Warn once per process about what the checks can't know: the server listens on a Unix socket."""
    logger.warning(
        "requests come over a Unix socket, and KEYPORTAL_TRUSTED_PROXIES does not name `unix`: forwarded headers are "
        "ignored, and all clients count as one, so one that guesses passwords uses up the log-ins of all"
    )
