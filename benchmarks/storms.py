"""Row 18: how long a revoked key is accepted outside of the portal, by Python services and behind nginx.

Two portals of two workers on one PostgreSQL stand for two hosts, and nginx balances over their workers. Those who check
are two processes with the Python client, and one that calls a service behind nginx with the module and two workers.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from benchmarks.rows import Row, Table, percentile
from tests.clients.storm import Storm, storm_over, workers_of
from tests.with_postgres import postgres_cluster

REVOCATIONS: Final = int(os.environ.get("REVOCATIONS", "300"))
KEYS: Final = 25
"""That are checked at the same time, and revoked one after the other."""
WORKERS: Final = 2
Disturbance = Callable[[Storm, int], AbstractContextManager[None]]


class Measured:
    """What was seen in some rounds."""

    def __init__(self) -> None:
        self.stale: list[float] = []
        """Seconds from the answer to a revocation to the last time that the key got in, for each key and verifier."""
        self.checks = 0

    def row(self, what: str, reach: str) -> Row:
        """Return the line of the table."""
        revocations = len(self.stale) // 3
        reached = f"p99 {percentile(self.stale, 99) * 1000:.0f} ms, worst {max(self.stale) * 1000:.0f} ms"
        what += f": {revocations} revocations, {self.checks:,} checks by three verifiers"
        return Row("18", what, reached, reach)


def measure() -> list[Table]:
    """Return the table."""
    with (
        tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name,
        postgres_cluster() as cluster,
        storm_over(Path(name), cluster.url) as storm,
    ):
        edge = storm.start_edge(as_shipped=True)
        both = "p99 ≤ 400 ms, worst ≤ 2 s"
        rows = [
            _rounds(storm, edge, lambda *_: nullcontext(), REVOCATIONS // KEYS).row("while everything works", both),
            _rounds(storm, edge, _ended_worker, REVOCATIONS // KEYS).row("while workers end, one at each", both),
            _rounds(storm, edge, _cut_feed, 2).row("while the feed is cut, each time", "worst ≤ 2 s"),
        ]
    note = "Time from the answer to a revocation to the last check that a verifier let pass."
    return [Table("Revocation outside of the portal, two hosts on one PostgreSQL", rows, note)]


def _rounds(storm: Storm, edge: int, disturbance: Disturbance, rounds: int) -> Measured:
    """Revoke keys while something disturbs the verifiers."""
    measured = Measured()
    for _ in range(rounds):
        storm.check(KEYS, edge=edge)
        for place in range(KEYS):
            with disturbance(storm, place):
                storm.revoke(place)
                time.sleep(0.1 + place % 7 / 30)  # so that it meets every phase of the verifiers' polls
        storm.wait_for("revoked", list(range(KEYS)))
        storm.finish()
        measured.stale += storm.staleness()
        measured.checks += sum(checker.end["checks"] for checker in storm.checkers)
    return measured


@contextmanager
def _ended_worker(storm: Storm, place: int) -> Iterator[None]:
    """End a worker of one host or the other just before, if the one before it has been replaced."""
    workers = workers_of(storm.portals[place % 2])
    if len(workers) == WORKERS:
        with suppress(ProcessLookupError):  # the one before it, which was about to be gone
            os.kill(workers[0], signal.SIGTERM)
    yield


@contextmanager
def _cut_feed(storm: Storm, place: int) -> Iterator[None]:
    """Cut it just before, until every verifier has noticed."""
    storm.cut()
    yield
    storm.wait_for("unavailable", [place])
    storm.balance()
    storm.wait_for("revoked", [place])
