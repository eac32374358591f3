"""One connection of HTTP/1.1: bytes in, bytes out, in order, each step within a deadline, and no thread for it.

Whoever sends half a request and then nothing waits alone, and is the first to go when there are too many.
"""

import asyncio
import logging
from collections import deque
from http import HTTPStatus
from typing import cast

from httptools import HttpParserCallbackError, HttpParserError

from credentials.client_address import parse_address
from keyportal.entrance.answer import CONTINUE, Answer
from keyportal.entrance.bounds import BODY_WITHIN, HEAD_WITHIN, IDLE, LINGER, MOST_TURNS, SLICE, TAKEN_WITHIN
from keyportal.entrance.host import Host
from keyportal.entrance.receiving import MOST_HEAD, Receiver, blamed
from keyportal.entrance.request import Request, UnreadableError

logger = logging.getLogger(__name__)


class Connection(Receiver, asyncio.Protocol):
    """What goes on between the portal and one client."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.until = float("inf")
        """When it must have gone on, by the host's clock."""
        self._host = host
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._ahead: deque[bytes] = deque()
        """What was sent ahead and is not read yet."""
        self._turns: deque[Request] = deque()
        """What has begun and is not answered yet."""
        self._is_ending = self._is_lingering = self._is_stalled = self._is_paused = False

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing is being done here."""
        return not self._turns or not self._turns[0].is_taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        address = parse_address(peer[0]) if isinstance(peer, tuple) else None  # over a Unix socket there is none
        self.meet(address, "https" if transport.get_extra_info("sslcontext") else "http")
        self.until = self._host.now + HEAD_WITHIN
        self._host.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was on its way. What a thread has begun goes on."""
        self._host.remove(self)
        if self.request is not None:
            self.drop_body(self.request)
        for request in self._turns:
            request.is_abandoned = True
        self._turns.clear()

    def data_received(self, data: bytes) -> None:
        """Read on, as far as there is room: what is sent ahead of that waits."""
        if self.is_deaf:
            return
        if len(data) > SLICE or self._ahead:
            self._ahead.extend(data[place : place + SLICE] for place in range(0, len(data), SLICE))
            self._read_ahead()
        else:
            self._read(data)

    def _read_ahead(self) -> None:
        while self._ahead and not (self._is_paused or self.is_deaf):
            self._read(self._ahead.popleft())

    def _read(self, data: bytes) -> None:
        if self.request is None and not self._turns:
            self.until = self._host.now + HEAD_WITHIN
        self.received += len(data)
        try:
            self.feed(data)
        except HttpParserCallbackError:
            logger.exception("the entrance broke")
            self._transport.abort()
        except HttpParserError:
            self._cut(UnreadableError(HTTPStatus.BAD_REQUEST, blamed(data)))
        else:
            if self.request is not None or self._turns:
                self._look_at_bounds()

    def eof_received(self) -> bool:
        """Answer what is there, and close. Half a request changes nothing."""
        if not self._is_lingering:
            self._is_ending = True
            if self.request is not None:
                self._cut(UnreadableError(HTTPStatus.BAD_REQUEST, "The request ended before it was complete."))
        return bool(self._turns)

    def pause_writing(self) -> None:
        """Read nothing more of a client that does not take its answers."""
        self._is_stalled = True
        self.until = self._host.now + TAKEN_WITHIN
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_stalled = False
        if not self._turns:
            self.until = self._host.now + IDLE
        if not self._is_paused:
            self._transport.resume_reading()

    def bound_of(self, request: Request) -> int:
        """Ask the host."""
        return self._host.bound_of(request)

    def keep(self, request: Request, count: int) -> None:
        """Tell the host."""
        self._host.keep(request, count)

    def begun(self, request: Request) -> None:
        """Give it its turn."""
        self._turns.append(request)

    def awaited(self, request: Request) -> None:
        """Wait for the body, and tell a client to send it that asks first."""
        self.until = self._host.now + BODY_WITHIN
        if b"expect" in request.named and len(self._turns) == 1:
            self._transport.write(CONTINUE)

    def take(self, request: Request) -> None:
        """Have a request answered by the host."""
        request.is_taken = True
        within = self._host.receive(request, self)
        if request.answer is None:
            self.until = self._host.now + within

    def refuse(self, request: Request, why: UnreadableError) -> None:
        """Have a request refused by the host; nothing more is read after it."""
        request.is_taken = self.is_deaf = self._is_ending = True
        within = self._host.refuse(request, self, why)
        if request.answer is None:
            self.until = self._host.now + within

    def completed(self) -> None:
        """Wait for the next request, if this one was answered before it was there."""
        if not self._turns:
            self.until = self._host.now + IDLE

    def answer(self, request: Request, answer: Answer | None) -> None:
        """Send an answer when its turn has come; None: it broke."""
        if request.answer is not None or request.is_abandoned:
            return
        request.answer = answer if answer is not None else self._host.broken(request)
        turns = self._turns
        while turns and (first := turns[0].answer) is not None:
            self._write(turns.popleft(), first)
        if self._is_paused and len(turns) < MOST_TURNS and not self._is_stalled:
            self._is_paused = False
            self._read_ahead()
            if not self._is_paused:
                self._transport.resume_reading()

    def expire(self) -> None:
        """Go on, now that the deadline is over. What is closing already would take its time for ever."""
        if self._is_stalled or self._is_lingering or self._transport.is_closing():
            self._transport.abort()
        elif self.request is not None and not self.request.is_taken:
            what, seconds = ("body", BODY_WITHIN) if self.request in self._turns else ("head", HEAD_WITHIN)
            detail = f"The {what} of the request did not arrive within {seconds:.0f} seconds."
            self._cut(UnreadableError(HTTPStatus.REQUEST_TIMEOUT, detail))
        elif self._turns:
            late = self._turns[0]
            self.answer(late, self._host.late(late))
            late.is_abandoned = True
        else:
            self._transport.close()

    def give_way(self) -> None:
        """Go at once: there are too many."""
        self._transport.abort()

    def end(self) -> None:
        """Close as soon as what was asked is answered."""
        self._is_ending = True
        if not self._turns and self.request is None:
            self._transport.close()
        elif self.request is not None:
            self.until = min(self.until, self._host.now + LINGER)

    def _cut(self, why: UnreadableError) -> None:
        """Answer what can't be read any further, and read nothing more."""
        request, self.request = self.request, None
        self.is_deaf = self._is_ending = True
        if request is None or request.is_taken:
            if not self._turns:
                self._transport.close()
        elif request in self._turns:
            self.drop_body(request)
            self.refuse(request, why)
        else:
            self.aim_roughly(request)
            self._turns.append(request)
            self.answer(request, self._host.refused_at_once(request, why))

    def _look_at_bounds(self) -> None:
        request = self.request
        if request is not None and self.received - 1.5 * request.size > 3 * MOST_HEAD:
            self._cut(UnreadableError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head or a trailer has no end."))
        elif request is not None:
            self.note_body(request)
        if len(self._turns) >= MOST_TURNS and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _write(self, request: Request, answer: Answer) -> None:
        if self._is_ending or self._host.is_ending or not request.keep_alive or request.is_half():
            self._write_last(request, answer)
            return
        self._send(request, answer, "keep-alive" if request.version == "1.0" else "")
        if not self._turns and not self._is_stalled:
            self.until = self._host.now + IDLE

    def _write_last(self, request: Request, answer: Answer) -> None:
        """Write an answer after which nothing comes any more, but what was asked before the end."""
        self._is_ending = True
        if self._turns and request.keep_alive and not request.is_half():
            self._send(request, answer, "")
            return
        for other in self._turns:  # what stands behind the last request may be a part of it
            other.is_abandoned = True
        self._turns.clear()
        self._send(request, answer, "close")
        self._close(request)

    def _send(self, request: Request, answer: Answer, connection: str) -> None:
        try:
            self._transport.write(self._host.writer.written(answer, method=request.method, connection=connection))
        except (ValueError, UnicodeEncodeError):
            logger.exception("an answer can't be sent")
            self._transport.abort()

    def _close(self, request: Request) -> None:
        """Close; after half a request not at once, which would take the answer along: what still comes is dropped."""
        if request.is_complete or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.is_deaf = self._is_lingering = True
        self.until = self._host.now + LINGER
        self._transport.write_eof()
