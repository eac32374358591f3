"""A limit, tried as people try it: by so many requests, then one more, then again at the window's end."""

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
import time_machine

START = 1_799_971_200.0
"""Midnight: every window that stands still begins there, and none ends meanwhile."""


class Clock(Protocol):
    """What the fixture `time_machine` gives."""

    def move_to(self, destination: float, tick: bool | None = None) -> None: ...


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The wall clock, standing still until a test moves it."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def is_limited(attempt: Callable[[int], bool], *, amount: int, seconds: int, clock: Clock) -> None:
    """Attempt what is let through `amount` times in so many seconds; `attempt` tells whether the n-th one was.

    An attempt that is refused must not be let through for another reason either: let each one be good by itself.
    """
    refused = [number for number in range(amount) if not attempt(number)]
    assert refused == [], f"refused before the limit of {amount}"
    assert not attempt(amount), f"let through above the limit of {amount}"
    clock.move_to(START + seconds - 1, tick=False)
    assert not attempt(amount + 1), "the window ended too early"
    clock.move_to(START + 2 * seconds + 2, tick=False)  # whether a window moves or stands
    assert attempt(amount + 2), "the window did not end"
