"""Build requests, within limits, from the callbacks of llhttp (Node's HTTP parser, through `httptools`)."""

import re
from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from audit.client_address import Address, is_trusted_proxy
from gateway.caller_cache import CallerCache
from keyportal.http_server.bounds import MAX_HEAD, MAX_LINES, MAX_TARGET
from keyportal.http_server.plain_http import is_private
from keyportal.http_server.request import Request, UnreadableError

FRAMING: Final = (b"content-length", b"transfer-encoding")


class Receiver(ABC):
    """The parser's callbacks. `request` is the one that is arriving."""

    def __init__(self) -> None:
        self.parser = HttpRequestParser(self)
        self.peer: Address | None = None
        self.is_trusted = False
        self.scheme = "http"
        self.in_clear = False
        self.caller_cache = CallerCache()
        self.request: Request | None = None
        self.received = 0
        """Bytes since the request began."""
        self.ignores_input = False
        """Whether further bytes are ignored."""
        self._target = b""
        self._bound = 0
        self._is_repeating = False
        """Whether a new parser is being fed a head that was already parsed."""

    def set_peer(self, peer: Address | None, scheme: str) -> None:
        """Set the peer of the connection; None over a Unix socket."""
        self.peer, self.scheme = peer, scheme
        self.is_trusted = is_trusted_proxy(peer)
        self.in_clear = scheme == "http" and not is_private(peer)

    @abstractmethod
    def max_body(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""

    @abstractmethod
    def count_bytes(self, request: Request, count: int) -> None:
        """Count `count` more (or fewer) buffered bytes of a request. Raises `UnreadableError`."""

    @abstractmethod
    def queue(self, request: Request) -> None:
        """Queue a request for its turn, now that its head is complete."""

    @abstractmethod
    def await_body(self, request: Request) -> None:
        """Wait for the body."""

    @abstractmethod
    def dispatch(self, request: Request) -> None:
        """Start answering a request."""

    @abstractmethod
    def refuse(self, request: Request, why: UnreadableError) -> None:
        """Start refusing a request that can't be received."""

    @abstractmethod
    def on_complete(self) -> None:
        """Handle the end of a request that is already being answered."""

    def feed(self, data: bytes) -> None:
        """Parse bytes. Raises `HttpParserError`."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._go_on_in_http(data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        """Start a request."""
        if self._is_repeating:
            return
        self.request = None if self.ignores_input else Request(self.peer, self.is_trusted, self.scheme, self.in_clear)
        self._target = b""

    def on_url(self, url: bytes) -> None:
        """Append to the target, which may arrive in parts."""
        if not self._is_repeating:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header line. Trailers after a chunked body are ignored (RFC 9110 §6.5.1)."""
        request = self.request
        if request is not None and not request.method and len(request.headers) <= MAX_LINES:
            request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check whether the request may continue. If its body is not needed, answer it now."""
        request = self.request
        if request is None or self._is_repeating:
            return
        parser = self.parser
        if request.buffered:
            self.count(request, 0)
        request.method = parser.get_method().decode()
        request.version = parser.get_http_version()
        request.named = dict(request.headers)
        # No other protocol is supported: a request to upgrade is answered in HTTP/1.1, and then the connection closes.
        request.keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        if request.version == "1.0" and b"transfer-encoding" in request.named:
            request.keep_alive = False  # a proxy on the way may have found another end of it (RFC 9112 §6.1)
        self.queue(request)
        try:
            self._check_head(request)
            if request.has_body():
                self._bound = self.max_body(request)
                if self._bound:
                    self.await_body(request)
                else:
                    self.dispatch(request)
        except UnreadableError as error:
            if not request.path:
                self.set_partial_target(request)
            self.refuse(request, error)

    def on_body(self, body: bytes) -> None:
        """Store a piece of the body, unless the request is already being answered."""
        request = self.request
        if request is None or request.is_dispatched:
            return
        request.size += len(body)
        request.body += body
        if request.size > self._bound:
            self.drop(request)
            self.refuse(request, too_large(self._bound))

    def on_message_complete(self) -> None:
        """Start answering the request, unless it is already being answered."""
        request = self.request
        if request is not None and self._leaves_a_body(request):
            return
        self.request, self.received = None, 0
        if request is None:
            return
        request.is_complete = True
        if request.is_dispatched:
            self.on_complete()
            return
        if request.buffered:
            self.count(request, 0)
        self.dispatch(request)

    def drop(self, request: Request) -> None:
        """Discard what has arrived of a request that will not be completed."""
        self.count(request, 0)
        request.size = 0
        request.body.clear()

    def count(self, request: Request, size: int) -> None:
        """Report to the host how many bytes of a request are buffered. Raises `UnreadableError`."""
        count, request.buffered = size - request.buffered, size
        if count:
            self.count_bytes(request, count)

    def _leaves_a_body(self, request: Request) -> bool:
        """Return whether the parser leaves the body to another protocol that the request wants to upgrade to."""
        return bool(self.parser.should_upgrade()) and not request.is_dispatched and request.has_body()

    def _go_on_in_http(self, data: bytes) -> None:
        """Read the body of a request that wants to upgrade, since no other protocol is supported (RFC 9110 §7.8).

        A new parser gets the headers that say how long the body is. Nothing after the body is read.
        """
        request = self.request
        if request is None or request.is_dispatched:
            self.ignores_input = True
            return
        framing = [b"%s: %s\r\n" % line for line in request.headers if line[0] in FRAMING]
        self.parser, self._is_repeating = HttpRequestParser(self), True
        self.parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n%s\r\n" % b"".join(framing))
        self._is_repeating = False
        self.parser.feed_data(data)

    def _check_head(self, request: Request) -> None:
        target = self._target
        if len(target) > MAX_TARGET:
            detail = f"Send an address shorter than {MAX_TARGET // 1024} KiB."
            raise UnreadableError(HTTPStatus.REQUEST_URI_TOO_LONG, detail)
        headers = request.headers
        is_long = self.received > MAX_HEAD and sum(len(name) + len(value) for name, value in headers) > MAX_HEAD
        if is_long or len(headers) > MAX_LINES:
            detail = f"Send up to {MAX_LINES} header lines, {MAX_HEAD // 1024} KiB in all."
            raise UnreadableError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        request.set_target(target if target[:1] == b"/" else _path_of(target))

    def set_partial_target(self, request: Request) -> None:
        """Take what fits of the target, although the head can't be read, so that the response has the right format."""
        if self._target[:1] == b"/":
            request.set_target(self._target[:MAX_TARGET])


def too_large(bound: int) -> UnreadableError:
    """Return the refusal of a body with more than this many bytes."""
    return UnreadableError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send less than {bound // 1024} KiB.")


def explain_fault(data: bytes) -> str:
    """Return a sentence about an unreadable head. It names the header at fault, if there is one, never its value."""
    for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if not _FORBIDDEN.isdisjoint(value) and _NAME.fullmatch(name):
            return f"The header {name.decode().title()} contains a byte that is not allowed in headers."
    return "The request line or a header is not valid HTTP/1.1."


def _path_of(target: bytes) -> bytes:
    """Return path and query of a target with scheme and host, or of `*`. Raises `UnreadableError`."""
    if target == b"*":
        return target
    try:
        url = parse_url(target)
    except HttpParserError:
        raise UnreadableError(HTTPStatus.BAD_REQUEST, "The address in the request line is invalid.") from None
    path: bytes = url.path or b"/"
    return path + b"?" + url.query if url.query else path


_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,39}")
"""A header name that may be shown: the portal's secrets do not have this form."""
_FORBIDDEN: Final = frozenset({*range(0x20), 0x7F} - {0x09})
"""RFC 9110 §5.5: bytes that no header value may contain."""
