"""One request as it came over the wire, and how much of it is believed.

Every header line stands by itself, under the name that was sent, in lower case. So `X_Forwarded_For` is another header
than `X-Forwarded-For`; under WSGI both would be one.
"""

import logging
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from credentials.client_address import Address, client_address, is_request_id, new_request_id
from keyportal.entrance.answer import Answer

logger = logging.getLogger(__name__)

ENCRYPTED: Final = frozenset({"https", "wss"})
"""What X-Forwarded-Proto says of a client that asked by TLS: some proxies name the scheme of WebSockets."""


class UnreadableError(Exception):
    """A request that is answered before anybody looks at what it asks for."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        """A sentence for whoever sent it, which quotes nothing of it."""


class Sender(NamedTuple):
    """Who sent a request, as far as anybody who is trusted says so."""

    peer: Address | None
    """The other end of the connection; None over a Unix socket."""
    address: Address | None
    """The client."""
    scheme: str
    request_id: str


class Request:
    """Head and body, as far as they have arrived."""

    __slots__ = (
        "answer",
        "body",
        "headers",
        "in_clear",
        "is_abandoned",
        "is_complete",
        "is_taken",
        "is_trusted",
        "keep_alive",
        "kept",
        "method",
        "named",
        "path",
        "peer",
        "query",
        "scheme",
        "size",
        "version",
    )

    def __init__(self, peer: Address | None, is_trusted: bool, scheme: str, in_clear: bool = False) -> None:
        self.peer = peer
        """The address of the other end; None over a Unix socket."""
        self.is_trusted = is_trusted
        """Whether that may say for whom it asks."""
        self.scheme = scheme
        """Of the connection."""
        self.in_clear = in_clear
        """Whether others can read what goes over the connection."""
        self.method = ""
        self.path = ""
        """Each character is a byte, decoded from `%xx`."""
        self.query = ""
        """Each character is a byte, as it was sent."""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        """Names in lower case."""
        self.named: dict[bytes, bytes] = {}
        """The same by name, the last line of each, once the head is complete."""
        self.body = bytearray()
        self.size = 0
        """Bytes of the body that have come."""
        self.kept = 0
        """Bytes of which the host knows that they are kept."""
        self.keep_alive = True
        self.is_complete = False
        """Whether all of it has come."""
        self.is_taken = False
        """Whether it is being answered, or has been."""
        self.is_abandoned = False
        """Whether nobody waits for the answer any more."""
        self.answer: Answer | None = None

    def aim_at(self, target: bytes) -> None:
        """Take path and query from a request's target in its usual form (RFC 9112 §3.2.1)."""
        raw, _, query = target.partition(b"?")
        self.path = (unquote_to_bytes(raw) if b"%" in raw else raw).decode("latin-1")
        self.query = query.decode("latin-1")

    def has_body(self) -> bool:
        """Return whether a body follows the head."""
        named = self.named
        return b"transfer-encoding" in named or bool(named.get(b"content-length", b"").strip(b"0 "))

    def is_half(self) -> bool:
        """Return whether something of it has not come yet."""
        return not self.is_complete and self.has_body()

    def lines(self, name: bytes) -> list[str]:
        """Return the values of every header line of this name, in the order in which they came."""
        return [value.decode("latin-1") for sent, value in self.headers if sent == name]

    def joined(self, name: bytes) -> str | None:
        """Return a header's value; of several lines all, joined by commas (RFC 9110 §5.3). None if there is none."""
        value = self.named.get(name)
        if value is None or len(self.named) == len(self.headers):
            return None if value is None else value.decode("latin-1")
        return ",".join(self.lines(name))

    def sender(self) -> Sender:
        """Return who sent it. Forwarded headers count only under their exact names, and from a trusted proxy."""
        if not self.is_trusted:
            if self.peer is None:
                _warn_of_the_socket()
            return Sender(self.peer, self.peer, self.scheme, new_request_id())
        ids = self.lines(b"x-request-id")
        return Sender(
            self.peer,
            client_address(self.peer, ",".join(self.lines(b"x-forwarded-for"))),
            self.told_scheme() or self.scheme,
            ids[0] if len(ids) == 1 and is_request_id(ids[0]) else new_request_id(),
        )

    def told_scheme(self) -> str:
        """Return by which scheme a trusted proxy says that its client asked; empty if it says nothing."""
        said = ",".join(self.lines(b"x-forwarded-proto")) if self.is_trusted else ""
        return _told_scheme(said) if said else ""

    def came_in_clear(self) -> bool:
        """Return whether others could read it: what a proxy says of its client counts more than where the proxy is."""
        told = self.told_scheme() if self.is_trusted else ""
        return told == "http" if told else self.in_clear


@lru_cache(maxsize=64)
def _told_scheme(said: str) -> str:
    """Return what X-Forwarded-Proto says: https if all of it does, http for anything else, empty for nothing.

    A proxy that appends to what came may be told anything first; one hop in clear is enough to be read.
    """
    schemes = {scheme.strip().lower() for scheme in said.split(",")} - {""}
    if not schemes:
        return ""
    return "https" if schemes <= ENCRYPTED else "http"


@cache
def _warn_of_the_socket() -> None:
    """Tell once a process what the checks can't know: which socket the server listens at."""
    logger.warning(
        "requests come over a Unix socket, and KEYPORTAL_TRUSTED_PROXIES does not name `unix`: forwarded headers are "
        "not believed, and all clients count as one, so that one guesser uses up the log-ins of all"
    )
