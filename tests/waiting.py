"""Wait until a condition is true. The one clock of the tests: it ends a hang, and no test is about it."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

DEADLINE: Final = 120.0
"""Seconds after which something counts as hanging, on however busy a machine. Never a figure that a test asserts."""
OFTEN: Final = 0.02
"""Seconds between two looks."""

Result = TypeVar("Result")


def wait_until(condition: Callable[[], Result], *, otherwise: Callable[[], object] = str) -> Result:
    """Return what the condition gives, as soon as that is true. A condition may raise, which ends the waiting.

    Raises `AssertionError` with what `otherwise` gives if it stays false until the deadline.
    """
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true. {otherwise()}"
        time.sleep(OFTEN)
    return result


def wait_until_steady(
    condition: Callable[[], bool],
    *,
    in_a_row: int,
    lasting: float = 0.0,
    within: float = DEADLINE,
    otherwise: Callable[[], object] = str,
) -> None:
    """Return as soon as the condition was true so many times in a row, as when each of several workers must agree.

    And for so many seconds, where each of them looks only now and then.
    """
    steady, since = 0, time.monotonic()
    deadline = since + within
    while steady < in_a_row or time.monotonic() < since + lasting:
        steady = steady + 1 if condition() else 0
        if not steady:
            time.sleep(OFTEN)
            since = time.monotonic()
        assert steady or time.monotonic() < deadline, f"{condition} did not stay true. {otherwise()}"
