"""What a connection needs from its process, and the process from a connection."""

from collections.abc import Callable
from typing import Protocol

from gateway.caller_cache import CallerCache
from keyportal.http_server.request import Request, UnreadableError
from keyportal.http_server.response import Response, Writer


class ClientConnection(Protocol):
    """A connection (`keyportal.http_server.connection.Connection`) as the application uses it."""

    until: float
    """The deadline of its current step, by the host's clock."""
    caller_cache: CallerCache

    @property
    def waits_for_client(self) -> bool:
        """Whether no request of this connection is being answered."""

    def respond(self, request: Request, response: Response | None) -> None:
        """Send the response to a request when it is its turn; None means that it failed."""

    def expire(self) -> None:
        """Act on a passed deadline."""

    def abort(self) -> None:
        """Abort, because there are too many connections."""

    def end(self) -> None:
        """Close as soon as the requests at hand are answered."""


class Host(Protocol):
    """The application (`keyportal.http_server.server.HTTPServer`) as a connection uses it."""

    now: float
    """The event loop's clock, updated several times a second."""
    writer: Writer
    is_ending: bool
    call_soon: Callable[[Callable[[], None]], object]
    """Calls a function in the loop's next turn."""

    def add(self, connection: ClientConnection) -> None:
        """Add a new connection."""

    def remove(self, connection: ClientConnection) -> None:
        """Remove a closed connection."""

    def max_body(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""

    def count_bytes(self, request: Request, count: int) -> None:
        """Count `count` more (or fewer) buffered bytes of a request. Raises `UnreadableError`."""

    def receive(self, request: Request, connection: ClientConnection) -> float:
        """Start answering a request. Return the seconds within which the answer is due."""

    def refuse(self, request: Request, connection: ClientConnection, why: UnreadableError) -> float:
        """Start refusing a request that can't be received. Return the seconds within which the answer is due."""

    def immediate_refusal(self, request: Request, why: UnreadableError) -> Response:
        """Return the refusal of a request whose head may be incomplete."""

    def timeout_response(self, request: Request) -> Response:
        """Return the response to a request whose deadline has passed."""

    def error_response(self, request: Request) -> Response:
        """Return the response to a request that failed."""
