"""What a connection needs from its process."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from keyportal.http_server.answer import Answer, Writer
from keyportal.http_server.request import Request, UnreadableError

if TYPE_CHECKING:
    from keyportal.http_server.connection import Connection


class Host(Protocol):
    """The application (`keyportal.http_server.server.HTTPServer`) as a connection uses it."""

    now: float
    """The event loop's clock, updated several times a second."""
    writer: Writer
    is_ending: bool
    soon: Callable[[Callable[[], None]], object]
    """Calls a function in the loop's next turn."""

    def add(self, connection: "Connection") -> None:
        """Add a new connection."""

    def remove(self, connection: "Connection") -> None:
        """Remove a closed connection."""

    def bound_of(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""

    def keep(self, request: Request, count: int) -> None:
        """Count `count` more (or fewer) buffered bytes of a request. Raises `UnreadableError`."""

    def receive(self, request: Request, connection: "Connection") -> float:
        """Start answering a request. Return the seconds within which the answer is due."""

    def refuse(self, request: Request, connection: "Connection", why: UnreadableError) -> float:
        """Start refusing a request that can't be received. Return the seconds within which the answer is due."""

    def refused_at_once(self, request: Request, why: UnreadableError) -> Answer:
        """Return the refusal of a request whose head may be incomplete."""

    def late(self, request: Request) -> Answer:
        """Return the response to a request whose deadline has passed."""

    def broken(self, request: Request) -> Answer:
        """Return the response to a request that failed."""
