"""One HTTP/1.1 connection: it reads and answers requests in order, each step within a deadline, without a thread.

A client that sends half a request and then nothing delays only itself, and is the first to be dropped when there are
too many.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import cast

from typing_extensions import override

from audit.client_address import parse_address
from keyportal.http_server.bounds import ARRIVES_WITHIN, BODY_WITHIN, HEAD_WITHIN, IDLE, LINGER
from keyportal.http_server.host import Host
from keyportal.http_server.reading import INCOMPLETE, Reader
from keyportal.http_server.request import Request, UnreadableError
from keyportal.http_server.response import CONTINUE, Response

logger = logging.getLogger(__name__)


class Connection(Reader, asyncio.Protocol):
    """The protocol between the portal and one client."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._is_ending = False
        self._is_new = True
        """Whether no request has come yet."""

    @property
    def waits_for_client(self) -> bool:
        """Whether no request of this connection is being answered."""
        return not self.pipeline or not self.pipeline[0].is_dispatched

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head."""
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        address = parse_address(peer[0]) if isinstance(peer, tuple) else None  # a Unix socket has no address
        self.set_peer(address, "https" if transport.get_extra_info("sslcontext") else "http")
        self.until = self.host.now + HEAD_WITHIN
        self.host.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Drop unfinished requests. A request that a thread has started on runs to its end."""
        self.host.remove(self)
        if self.request is not None:
            self.drop(self.request)
        for request in self.pipeline:
            request.is_abandoned = True
        self.pipeline.clear()
        self.unparsed.clear()

    @override
    def end_input(self) -> None:
        """Answer the complete requests, then close. Half a request changes nothing."""
        if self.is_lingering:
            return
        self._is_ending = True
        if self.request is not None:
            self.reject(INCOMPLETE)
        if not self.pipeline:
            self._close_at_once()

    @override
    def max_body(self, request: Request) -> int:
        """Return the host's bound."""
        return self.host.max_body(request)

    @override
    def count_bytes(self, request: Request, count: int) -> None:
        """Count bytes with the host."""
        self.host.count_bytes(request, count)

    @override
    def queue(self, request: Request) -> None:
        """Queue the request for its turn."""
        self._is_new = False
        self.pipeline.append(request)

    @override
    def await_body(self, request: Request) -> None:
        """Wait for the body, and send 100 Continue to a client that expects it."""
        self.until = self.host.now + BODY_WITHIN
        if b"expect" in request.named and request.version != "1.0" and len(self.pipeline) == 1:
            self.transport.write(CONTINUE)

    @override
    def dispatch(self, request: Request) -> None:
        """Pass a request to the server, which answers it."""
        request.is_dispatched = True
        within = self.host.receive(request, self)
        if request.response is None:
            self.until = self.host.now + within

    @override
    def refuse(self, request: Request, why: UnreadableError) -> None:
        """Pass a request to the server, which refuses it. Nothing after it is read."""
        request.is_dispatched = self.ignores_input = self._is_ending = True
        within = self.host.refuse(request, self, why)
        if request.response is None:
            self.until = self.host.now + within

    @override
    def on_complete(self) -> None:
        """Wait for the next request, if this one was answered before all of it arrived."""
        if not (self.pipeline or self.is_lingering):
            self.until = self.host.now + IDLE

    def respond(self, request: Request, response: Response | None) -> None:
        """Send a response when it is its turn. None means that the request failed."""
        if request.response is not None or request.is_abandoned:
            return
        request.response = response if response is not None else self.host.error_response(request)
        turns = self.pipeline
        while turns and (first := turns[0].response) is not None:
            self._write(turns.popleft(), first)
        if self._is_paused:
            self.resume_parsing()

    def expire(self) -> None:
        """Act on a passed deadline. A connection that is already closing is aborted, or it could take forever."""
        if self.is_stalled or self.is_lingering or self.transport.is_closing():
            self.transport.abort()
        elif self.request is not None and not (self.request.is_dispatched or self.unparsed):
            what, seconds = ("body", BODY_WITHIN) if self.request in self.pipeline else ("head", HEAD_WITHIN)
            detail = f"The {what} of the request did not arrive within {seconds:.0f} seconds."
            self.reject(UnreadableError(HTTPStatus.REQUEST_TIMEOUT, detail))
        elif self.pipeline:
            late = self.pipeline[0]
            self.respond(late, self.host.timeout_response(late))
            late.is_abandoned = True
        else:
            self._close_at_once()

    def abort(self) -> None:
        """Abort, because there are too many connections."""
        self.transport.abort()

    def end(self) -> None:
        """Close as soon as the requests at hand are answered. The first one may be on its way."""
        self._is_ending = True
        if not self.pipeline and self.request is None:
            if self._is_new:
                self.until = min(self.until, self.host.now + ARRIVES_WITHIN)
            else:
                self._close_at_once()
        elif self.request is not None:
            self.until = min(self.until, self.host.now + LINGER)

    @override
    def reject(self, why: UnreadableError) -> None:
        """Answer a request that can't be read any further, and stop reading."""
        request, self.request = self.request, None
        self.ignores_input = self._is_ending = True
        if request is None or request.is_dispatched:
            if not self.pipeline:
                self.transport.close()
        elif request in self.pipeline:
            self.drop(request)
            self.refuse(request, why)
        else:
            self.drop(request)
            self.set_partial_target(request)
            self.pipeline.append(request)
            self.respond(request, self.host.immediate_refusal(request, why))

    def _write(self, request: Request, response: Response) -> None:
        if self._is_ending or self.host.is_ending or not request.keep_alive or request.is_half():
            self._write_last(request, response)
            return
        self._send(request, response, "keep-alive" if request.version == "1.0" else "")
        if not self.pipeline and not self.is_stalled:
            self.until = self.host.now + IDLE

    def _write_last(self, request: Request, response: Response) -> None:
        """Send the last response, or one of several that were requested before the end."""
        self._is_ending = True
        if self.pipeline and request.keep_alive and not request.is_half():
            self._send(request, response, "")
            return
        for other in self.pipeline:  # bytes behind the last request may be part of it
            other.is_abandoned = True
        self.pipeline.clear()
        self._send(request, response, "close")
        self._close(request)

    def _send(self, request: Request, response: Response, connection: str) -> None:
        try:
            self.transport.write(self.host.writer.serialize(response, method=request.method, connection=connection))
        except (ValueError, UnicodeEncodeError):
            logger.exception("a response can't be sent")
            self.ignores_input = True
            self.transport.abort()

    def _close(self, request: Request) -> None:
        """Close. After half a request, first discard what still comes for a while, so that the response is not lost."""
        if request.is_complete or not self.transport.can_write_eof():
            self._close_at_once()
            return
        self.ignores_input = self.is_lingering = True
        self.until = self.host.now + LINGER
        self.transport.write_eof()

    def _close_at_once(self) -> None:
        """Close at once. Requests behind the last one are not answered (RFC 9112 §9.6)."""
        self.ignores_input = True
        self.transport.close()
