"""What waits at the entrance of this process, in figures, for `keyportal.numbers`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """Counts since the process began, and what there is at this moment."""

    verdicts_inside: int = 0
    """Requests that a thread works at, or that wait for one."""
    others_inside: int = 0
    verdicts_refused: int = 0
    """Requests for which there was no place."""
    others_refused: int = 0
    late: int = 0
    """Requests that were given up."""
    connections: int = 0
    body_bytes: int = 0
    """Of bodies that are on their way."""


class Meter:
    """Knows the load of the process, once something serves in it."""

    def __init__(self) -> None:
        self.read: Callable[[], Load] = Load


meter = Meter()
