"""How long a change may go unheard, and how long it did."""

import os
import time
from collections.abc import Callable

ON_SQLITE = os.environ.get("DATABASE_URL", "sqlite").startswith("sqlite")
BOUND = 0.0 if ON_SQLITE else 2.0
"""Seconds after which not one stale answer may come: none on SQLite, the lease on PostgreSQL."""
IN_A_ROW = 12
"""So many refusals one after the other, over fresh connections, have come from both workers."""


def refused_within(ask: Callable[[], int], *, in_a_row: int = IN_A_ROW) -> float:
    """Ask until only refusals come; give the seconds from the beginning to the last 200, 0 if there was none."""
    started = time.monotonic()
    last_good, refusals = started, 0
    while refusals < in_a_row:
        status = ask()
        if status == 200:
            last_good, refusals = time.monotonic(), 0
            if last_good - started > 10:
                break
        else:
            refusals += 1
    return last_good - started


DEADLINE = 30.0
"""Seconds until a wait is given up: machines of tests are busy."""


def wait_until(holds: Callable[[], bool], *, seconds: float = DEADLINE) -> None:
    """Ask again and again until it holds; fail if it does not in that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_refused_for_good(ask: Callable[[], int]) -> None:
    """Wait until every worker refuses; from then on none may let it in, however often it is asked."""
    refusals = 0
    deadline = time.monotonic() + DEADLINE
    while refusals < IN_A_ROW:
        refusals = 0 if ask() == 200 else refusals + 1
        assert time.monotonic() < deadline
    assert 200 not in {ask() for _ in range(2 * IN_A_ROW)}
