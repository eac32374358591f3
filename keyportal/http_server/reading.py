"""Read from a client only as far as there is room, and a little at a time, so that others have their turn."""

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from http import HTTPStatus
from typing import Final, cast

from httptools import HttpParserCallbackError, HttpParserError

from keyportal.http_server.bounds import (
    HEAD_WITHIN,
    IDLE,
    LINGER,
    MAX_HEAD,
    MAX_PIPELINED,
    MAX_TARGET,
    READ_WITHIN,
    SLICE,
    SLICES,
    USUAL_HEAD,
)
from keyportal.http_server.host import Host
from keyportal.http_server.receiving import Receiver, explain_fault
from keyportal.http_server.request import Request, UnreadableError

logger = logging.getLogger(__name__)

ENDLESS: Final = UnreadableError(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The header or trailer section is too long."
)
INCOMPLETE: Final = UnreadableError(HTTPStatus.BAD_REQUEST, "The request ended before it was complete.")


class Reader(Receiver):
    """The reading side of a connection."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.until = float("inf")
        """The deadline of the current step, by the host's clock."""
        self.pipeline: deque[Request] = deque()
        """Requests that have started and are not answered yet."""
        self.is_stalled = False
        """Whether the client does not read its responses."""
        self.is_lingering = False
        """Whether further bytes are discarded, so that the client can read the response to half a request."""
        self.unparsed: deque[bytes] = deque()
        """Bytes that were sent ahead and are not parsed yet."""
        self._is_paused = self._is_feeding = self._is_due = self._has_ended = False

    @abstractmethod
    def reject(self, why: UnreadableError) -> None:
        """Answer a request that can't be read any further, and stop reading."""

    @abstractmethod
    def end_input(self) -> None:
        """Answer the complete requests, because the client sends nothing more."""

    def data_received(self, data: bytes) -> None:
        """Parse bytes as far as there is room. Bytes sent further ahead wait."""
        if self.ignores_input:
            return
        if len(data) > SLICE or self.unparsed:
            self.unparsed.extend(data[place : place + SLICE] for place in range(0, len(data), SLICE))
            self.resume_parsing()
            return
        self._read(data)
        if self._is_paused or len(self.pipeline) >= MAX_PIPELINED:
            self._update_reading()

    def eof_received(self) -> bool:
        """Answer the complete requests, then close. Half a request changes nothing."""
        self._has_ended = True
        self._update_reading()
        return bool(self.pipeline or self.unparsed)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its responses."""
        self.is_stalled = True
        self.until = self.host.now + READ_WITHIN
        self._update_reading()

    def resume_writing(self) -> None:
        """Start reading again."""
        self.is_stalled = False
        if self.is_lingering:
            self.until = self.host.now + LINGER
        elif not self.pipeline:
            self.until = self.host.now + (IDLE if self.request is None else HEAD_WITHIN)
        self.resume_parsing()

    def resume_parsing(self) -> None:
        """Parse bytes that were sent ahead while there is room: a few slices now, the rest in the loop's next turn."""
        if self._is_feeding:
            return
        left = SLICES
        while left and self.unparsed and not self._is_full():
            self._read(self.unparsed.popleft())
            left -= 1
        if self.unparsed and not (self._is_due or self._is_full()):
            self._is_due = True
            self.host.call_soon(self._go_on_soon)
        self._update_reading()

    def _go_on_soon(self) -> None:
        self._is_due = False
        self.resume_parsing()

    def _read(self, data: bytes) -> None:
        if self.request is None and not self.pipeline:
            self.until = self.host.now + HEAD_WITHIN
        self.received += len(data)
        self._is_feeding = True
        try:
            self.feed(data)
        except HttpParserCallbackError:
            logger.exception("the HTTP server failed")
            self.ignores_input = True
            self.transport.abort()
        except HttpParserError:
            in_head = self.request is not None and not self.request.method
            self.reject(UnreadableError(HTTPStatus.BAD_REQUEST, explain_fault(data if in_head else b"")))
        else:
            if self.request is not None:
                self._check_bounds(self.request)
        finally:
            self._is_feeding = False

    def _check_bounds(self, request: Request) -> None:
        """Count the bytes of an incomplete request, and refuse it if they are too many."""
        if request.method:
            # What is not body is chunk sizes, chunk extensions and trailers; beyond this they have no end.
            buffered, is_endless = request.size, self.received - 1.5 * request.size > 3 * MAX_HEAD
        else:
            buffered = max(0, self.received - USUAL_HEAD)
            is_endless = self.received > MAX_HEAD + MAX_TARGET + 2 * SLICE
        if is_endless:
            self.reject(ENDLESS)
        elif buffered != request.buffered:
            try:
                self.count(request, buffered)
            except UnreadableError as error:
                self.reject(error)

    def _is_full(self) -> bool:
        """Return whether to stop reading for now. If nothing counts any more, bytes are read and discarded."""
        return not self.ignores_input and (self.is_stalled or len(self.pipeline) >= MAX_PIPELINED)

    def _update_reading(self) -> None:
        """Pause or resume the transport by the room that there is; at the end of input, answer what is complete."""
        if self.ignores_input:
            self.unparsed.clear()
        is_full = bool(self.unparsed) or self._is_full()
        if is_full != self._is_paused and not self.transport.is_closing():
            self._is_paused = is_full
            if is_full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()
        if self._has_ended and not self.unparsed:
            self._has_ended = False
            self.end_input()
