"""A storm of revocations on real processes: nobody is let in past the bound, whatever else happens meanwhile.

Keys are revoked while everything works, while workers die, while the feed is cut, and while a portal restarts. On
PostgreSQL two portals share a database, on SQLite there is one.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.clients.storm import Storm, storm_in, workers_of
from tests.portal import Portal
from tests.waiting import wait_until

pytestmark = [pytest.mark.nginx, pytest.mark.edge]
BOUND: Final = 2.0
"""Seconds after the answer to a revocation from which on nobody may be let in."""
EACH: Final = 4
"""Keys that are revoked at each turn of the storm."""
TURNS: Final = [list(range(start, start + EACH)) for start in range(0, 4 * EACH, EACH)]
KEPT: Final = 4 * EACH
"""The place of the key that stays good."""


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    with storm_in(tmp_path) as storm:
        storm.check(KEPT + 1, edge=storm.start_edge())
        yield storm


def is_replaced(portal: Portal, ended: int) -> bool:
    """Return whether a worker has gone, and another is there in its place."""
    now = workers_of(portal)
    return ended not in now and len(now) == 2


def test_nobody_is_let_in_past_the_bound(storm: Storm) -> None:
    calm, while_workers_die, while_cut, while_restarted = TURNS
    for place in calm:
        storm.revoke(place)
    storm.wait_for("revoked", calm)

    for place in while_workers_die:
        ended = workers_of(storm.portals[-1])[0]
        os.kill(ended, signal.SIGTERM)
        storm.revoke(place)
        wait_until(lambda: is_replaced(storm.portals[-1], ended))  # noqa: B023  # called before the next one
    storm.wait_for("revoked", while_workers_die)

    storm.cut()
    for place in while_cut:
        storm.revoke(place)
    storm.wait_for("unavailable", while_cut)
    storm.balance()
    storm.wait_for("revoked", while_cut)

    storm.portals[-1].stop()
    storm.portals[-1].start()
    for place in while_restarted:
        storm.revoke(place)
    storm.wait_for("revoked", while_restarted)

    storm.wait_for("accepted", [KEPT])
    storm.finish()
    assert [late for late in storm.staleness() if late >= BOUND] == []
