"""Rows 13 and 14: how a purge affects traffic, and how soon a worker is ready; also forward-auth at a steady rate."""

import http.client
import os
import tempfile
import time
from http import HTTPStatus
from pathlib import Path

from benchmarks.load import load
from benchmarks.rows import Row, Table, percentile, spread
from benchmarks.scale import OneThread
from tests.portal import Portal
from tests.with_postgres import postgres_cluster

EXPIRED = int(os.environ.get("EXPIRED", "1000000"))
ROUNDS = int(os.environ.get("ROUNDS", "10"))
PACE = 3  # seconds of each measurement without a purge
RATE = 200  # requests per second


def measure() -> list[Table]:
    """Return the tables for PostgreSQL, and the steady rate on SQLite too."""
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name:
        portal = OneThread(Path(name), f"sqlite:///{name}/bench.sqlite3")
        with portal.running(workers=1):
            lite = [even_pace(portal)]
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name, postgres_cluster() as cluster:
        portal = OneThread(Path(name), cluster.url)
        with portal.running(workers=1):
            rows = [even_pace(portal), purge_beside_traffic(portal), ready_after_start(portal)]
    return [Table("Upkeep, SQLite", lite), Table("Upkeep, PostgreSQL", rows)]


def even_pace(portal: Portal) -> Row:
    """Return the p99 of forward-auth at 200 requests per second; Envoy waits 200 ms for an answer."""
    portal.make_developer("pace@example.com")
    _, secret = portal.make_key("pace@example.com")
    line = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=10)
    took = []
    due = time.monotonic()
    for _ in range(10 * RATE):
        time.sleep(max(0.0, due - time.monotonic()))
        line.request("GET", "/gateway/auth", headers={"Authorization": f"Bearer {secret}"})
        answer = line.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"refused: {answer.status}")
        took.append(time.monotonic() - due)  # from the due time: a pause counts for every request that it delays
        due += 1 / RATE
    line.close()
    reached = f"{percentile(took, 99) * 1000:.1f} ms"
    return Row("FA-10", f"p99 of forward-auth at {RATE} requests a second", reached, "< 50 ms")


def purge_beside_traffic(portal: Portal) -> Row:
    """Compare the p99 of verifications with and without a purge, over one connection."""
    portal.make_developer("bench@example.com")
    _, secret = portal.make_key("bench@example.com")
    url = f"{portal.url}/gateway/auth"
    ratios = []
    for _ in range(3):
        idle = load(url, f"Bearer {secret}", seconds=PACE, connections=1).p99
        portal.shell(f"from tests.keyportal.test_purge import many_expired; many_expired({EXPIRED})")
        purging = portal.begin("purge")
        time.sleep(1)  # until its interpreter has started
        busy = []
        while purging.poll() is None:
            busy.append(load(url, f"Bearer {secret}", seconds=1, connections=1).p99)
        ratios.append(max(busy) / idle)
    what = f"p99 of verifications while {EXPIRED:,} expired rows are purged / idle"
    return Row("13", what, spread(ratios), "≤ 1.5")


def ready_after_start(portal: Portal) -> Row:
    """Return the seconds from the start of the server to its first 200 on `/readyz`."""
    took = []
    for _ in range(ROUNDS):
        portal.stop()
        started = time.monotonic()
        portal.start(workers=1)
        while portal.get("/readyz").status != HTTPStatus.OK:
            time.sleep(0.01)
        took.append(time.monotonic() - started)
    return Row("14", "a worker is ready after its start, seconds", spread(took), "≤ 1.5")
