"""What a connection needs of the process that it is in."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from keyportal.entrance.answer import Answer, Writer
from keyportal.entrance.request import Request, UnreadableError

if TYPE_CHECKING:
    from keyportal.entrance.connection import Connection


class Host(Protocol):
    """The application (`keyportal.entrance.application.Entrance`), as a connection sees it."""

    now: float
    """By the event loop's clock, a moment ago."""
    writer: Writer
    is_ending: bool
    soon: Callable[[Callable[[], None]], object]
    """Calls in the loop's next turn."""

    def add(self, connection: "Connection") -> None:
        """Note a new connection."""

    def remove(self, connection: "Connection") -> None:
        """Note that a connection is gone."""

    def bound_of(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""

    def keep(self, request: Request, count: int) -> None:
        """Note that so many more (or fewer) bytes of requests are kept. Raises `UnreadableError`."""

    def receive(self, request: Request, connection: "Connection") -> float:
        """See to it that a request is answered. Returns within how many seconds."""

    def refuse(self, request: Request, connection: "Connection", why: UnreadableError) -> float:
        """See to it that a request is answered that can't be received. Returns within how many seconds."""

    def refused_at_once(self, request: Request, why: UnreadableError) -> Answer:
        """Return the answer to a request of which not even the head is there."""

    def late(self, request: Request) -> Answer:
        """Return the answer to a request that has waited for too long."""

    def broken(self, request: Request) -> Answer:
        """Return the answer to a request that could not be answered."""
