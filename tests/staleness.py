"""A change is heard by every worker: at the next request where that is promised, else by itself."""

import os
from collections.abc import Callable

from credentials.verified_cache.cache import MAX_AGE
from tests.waiting import wait_until_steady

ON_SQLITE = os.environ.get("DATABASE_URL", "sqlite").startswith("sqlite")
"""There not one stale answer may come. PostgreSQL's workers hear a moment later, which `make bench` measures.

Of the tests' own database; a portal that brings another one says so itself (`Portal.is_on_sqlite`)."""
IN_A_ROW = 12
"""So many answers one after the other, over fresh connections, have come from both workers."""
WITHIN = MAX_AGE * 2 / 3
"""Seconds: generous for a worker that hears of a change, and too few for an entry to go because of its age."""
OK = 200


def wait_until_refused(
    status_of: Callable[[], int], *, at_once: bool = ON_SQLITE, in_a_row: int = IN_A_ROW, lasting: float = 0.0
) -> None:
    """Ask until only refusals come, from every worker. With `at_once` no good answer may come before them."""
    stale = 0

    def is_refused() -> bool:
        nonlocal stale
        good = status_of() == OK
        stale += good
        assert not (good and at_once), "a stale answer"
        return not good

    wait_until_steady(
        is_refused, in_a_row=in_a_row, lasting=lasting, within=WITHIN, otherwise=lambda: f"{stale} stale answers"
    )


def wait_until_accepted(status_of: Callable[[], int]) -> None:
    """Ask until only good answers come, from every worker: what gives something back is heard a moment later too."""
    wait_until_steady(lambda: status_of() == OK, in_a_row=IN_A_ROW, within=WITHIN)


def wait_until_refused_for_good(status_of: Callable[[], int], *, lasting: float = 0.0) -> None:
    """Wait until every worker refuses; from then on none may let it in, however often it is asked."""
    wait_until_refused(status_of, at_once=False, lasting=lasting)
    assert OK not in {status_of() for _ in range(2 * IN_A_ROW)}
