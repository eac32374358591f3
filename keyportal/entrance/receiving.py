"""What llhttp (Node's parser, by `httptools`) finds in the bytes of a connection, made into requests within bounds."""

import re
from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from credentials.client_address import Address, is_trusted_proxy
from gateway.acquaintance import Acquaintance
from keyportal.entrance.bounds import MOST_HEAD, MOST_LINES, MOST_TARGET
from keyportal.entrance.plain_http import is_private
from keyportal.entrance.request import Request, UnreadableError

FRAMING: Final = (b"content-length", b"transfer-encoding")


class Receiver(ABC):
    """The parser's callbacks. One request after the other; `request` is the one that is arriving."""

    def __init__(self) -> None:
        self.parser = HttpRequestParser(self)
        self.peer: Address | None = None
        self.is_trusted = False
        self.scheme = "http"
        self.in_clear = False
        self.acquaintance = Acquaintance()
        self.request: Request | None = None
        self.received = 0
        """Bytes since the request began."""
        self.is_deaf = False
        """Whether nothing that comes counts any more."""
        self._target = b""
        self._bound = 0
        self._is_repeating = False
        """Whether the parser reads a head that was read before."""

    def meet(self, peer: Address | None, scheme: str) -> None:
        """Note who is at the other end of the connection; None over a Unix socket."""
        self.peer, self.scheme = peer, scheme
        self.is_trusted = is_trusted_proxy(peer)
        self.in_clear = scheme == "http" and not is_private(peer)

    @abstractmethod
    def bound_of(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""

    @abstractmethod
    def keep(self, request: Request, count: int) -> None:
        """Note that so many more (or fewer) bytes of requests are kept. Raises `UnreadableError`."""

    @abstractmethod
    def begun(self, request: Request) -> None:
        """Take the head of a request: it has its turn."""

    @abstractmethod
    def awaited(self, request: Request) -> None:
        """Wait for the body."""

    @abstractmethod
    def take(self, request: Request) -> None:
        """Have a request answered."""

    @abstractmethod
    def refuse(self, request: Request, why: UnreadableError) -> None:
        """Have a request answered that can't be received."""

    @abstractmethod
    def completed(self) -> None:
        """Note that a request has arrived that is being answered already."""

    def feed(self, data: bytes) -> None:
        """Read bytes. Raises `HttpParserError`."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._go_on_in_http(data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._is_repeating:
            return
        self.request = None if self.is_deaf else Request(self.peer, self.is_trusted, self.scheme, self.in_clear)
        self._target = b""

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        if not self._is_repeating:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a line of the head; one behind a body in chunks is nobody's header (RFC 9110 §6.5.1)."""
        request = self.request
        if request is not None and not request.method and len(request.headers) <= MOST_LINES:
            request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Look whether the request may go on; if its body is not needed it is answered now."""
        request = self.request
        if request is None or self._is_repeating:
            return
        parser = self.parser
        if request.kept:
            self.count(request, 0)
        request.method = parser.get_method().decode()
        request.version = parser.get_http_version()
        request.named = dict(request.headers)
        # There is no other protocol here: who asks for one is answered in this one, and then it is over.
        request.keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        if request.version == "1.0" and b"transfer-encoding" in request.named:
            request.keep_alive = False  # a hop in between may have found another end of it (RFC 9112 §6.1)
        self.begun(request)
        try:
            self._aim(request)
            if request.has_body():
                self._bound = self.bound_of(request)
                if self._bound:
                    self.awaited(request)
                else:
                    self.take(request)
        except UnreadableError as error:
            if not request.path:
                self.aim_roughly(request)
            self.refuse(request, error)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, if anybody wants it."""
        request = self.request
        if request is None or request.is_taken:
            return
        request.size += len(body)
        request.body += body
        if request.size > self._bound:
            self.drop(request)
            self.refuse(request, too_large(self._bound))

    def on_message_complete(self) -> None:
        """Have the request answered, if it is not being answered already."""
        request = self.request
        if request is not None and self._leaves_a_body(request):
            return
        self.request, self.received = None, 0
        if request is None:
            return
        request.is_complete = True
        if request.is_taken:
            self.completed()
            return
        if request.kept:
            self.count(request, 0)
        self.take(request)

    def drop(self, request: Request) -> None:
        """Forget what there is of a request that will not be complete."""
        self.count(request, 0)
        request.size = 0
        request.body.clear()

    def count(self, request: Request, size: int) -> None:
        """Have the host know how much of a request is kept. Raises `UnreadableError`."""
        count, request.kept = size - request.kept, size
        if count:
            self.keep(request, count)

    def _leaves_a_body(self, request: Request) -> bool:
        """Return whether the parser leaves the body to another protocol, which the request asks for."""
        return bool(self.parser.should_upgrade()) and not request.is_taken and request.has_body()

    def _go_on_in_http(self, rest: bytes) -> None:
        """Read the body of a request that asks for another protocol: there is none here (RFC 9110 §7.8).

        A new parser is told how long the body is. Nothing is read behind it.
        """
        request = self.request
        if request is None or request.is_taken:
            self.is_deaf = True
            return
        framing = [b"%s: %s\r\n" % line for line in request.headers if line[0] in FRAMING]
        self.parser, self._is_repeating = HttpRequestParser(self), True
        self.parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n%s\r\n" % b"".join(framing))
        self._is_repeating = False
        self.parser.feed_data(rest)

    def _aim(self, request: Request) -> None:
        target = self._target
        if len(target) > MOST_TARGET:
            detail = f"Send less than {MOST_TARGET // 1024} KiB of address."
            raise UnreadableError(HTTPStatus.REQUEST_URI_TOO_LONG, detail)
        headers = request.headers
        is_long = self.received > MOST_HEAD and sum(len(name) + len(value) for name, value in headers) > MOST_HEAD
        if is_long or len(headers) > MOST_LINES:
            detail = f"Send up to {MOST_LINES} header lines, {MOST_HEAD // 1024} KiB in all."
            raise UnreadableError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        request.aim_at(target if target[:1] == b"/" else _path_of(target))

    def aim_roughly(self, request: Request) -> None:
        """Take what there is of the target of a request whose head can't be read, so that the answer fits it."""
        if self._target[:1] == b"/":
            request.aim_at(self._target[:MOST_TARGET])


def too_large(bound: int) -> UnreadableError:
    """Return the refusal of a body over this many bytes."""
    return UnreadableError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send less than {bound // 1024} KiB.")


def blamed(data: bytes) -> str:
    """Return a sentence about a head that can't be read. It names the header, if one is to blame; never its value."""
    for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if not _FORBIDDEN.isdisjoint(value) and _NAME.fullmatch(name):
            return f"The header {name.decode().title()} holds a byte that no header may hold."
    return "The request line or a header is not as HTTP/1.1 has it."


def _path_of(target: bytes) -> bytes:
    """Return path and query of a target in another form: with scheme and host, or `*`. Raises `UnreadableError`."""
    if target == b"*":
        return target
    try:
        url = parse_url(target)
    except HttpParserError:
        raise UnreadableError(HTTPStatus.BAD_REQUEST, "The address in the request line is none.") from None
    path: bytes = url.path or b"/"
    return path + b"?" + url.query if url.query else path


_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,39}")
"""Of a header that may be named: a secret of ours looks different."""
_FORBIDDEN: Final = frozenset({*range(0x20), 0x7F} - {0x09})
"""RFC 9110 §5.5: what no header's value holds."""
