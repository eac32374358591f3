"""Rows 7, 11 and 12: the effect of ten million keys, a worker's memory, and the page of an owner of 10,000 keys."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import each_in_turn, load
from benchmarks.rows import Row, Table, spread
from tests.portal import ROOT, Portal
from tests.portal_user import PortalUser
from tests.with_postgres import postgres_cluster

MANY = int(os.environ.get("KEYS", "10000000"))
FEW = 1_000
GOOD = 200_000
VERIFICATIONS = 1_000_000
ROUNDS = int(os.environ.get("ROUNDS", "10"))


class OneThread(Portal):
    """A portal whose workers have one thread, as docs/scaling.md advises for gateways."""

    threads = 1


def measure() -> list[Table]:
    """Return the table with all three, on PostgreSQL."""
    return [Table("Many keys, PostgreSQL", [*cold_with_many(), *page_of_many()])]


def fill(portal: Portal, count: int, good: int, file: Path) -> None:
    """Create `count` keys in the portal's database, the first `good` of them with their secrets in the file."""
    command = [sys.executable, "-m", "benchmarks.many_keys", str(count), str(good), str(file)]
    subprocess.run(command, check=True, cwd=ROOT, env=portal._whole_environment())


@contextmanager
def portal_with_keys(folder: Path, count: int, good: int) -> Iterator[tuple[OneThread, Path]]:
    """Yield a portal whose cache holds one key, on its own PostgreSQL with so many keys, and the file of secrets."""
    folder.mkdir()
    with postgres_cluster() as cluster:
        portal = OneThread(folder, cluster.url, KEYPORTAL_CACHE_ENTRIES="1")
        with portal.running(workers=1):
            fill(portal, count, good, folder / "secrets")
            yield portal, folder / "secrets"


def cold_with_many() -> list[Row]:
    """Compare cold verifications with few and with many keys, in turn; then measure the memory with the many."""
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name:
        folder = Path(name)
        with (
            portal_with_keys(folder / "few", FEW, FEW) as (few, known),
            portal_with_keys(folder / "many", MANY, GOOD) as (many, all_known),
        ):
            some = folder / "some"
            some.write_text("\n".join(all_known.read_text().split("\n")[:: GOOD // FEW]))
            scripts = {few: each_in_turn(folder, known), many: each_in_turn(folder, some)}
            ratios = []
            for _ in range(ROUNDS):
                rates = {
                    portal: load(f"{portal.url}/gateway/auth", seconds=2, script=script).rate
                    for portal, script in scripts.items()
                }
                ratios.append(rates[few] / rates[many])
            what = f"cold verification with {MANY:,} keys / with {FEW:,}"
            return [Row("7", what, spread(ratios), "≤ 1.15"), memory(many, folder, all_known)]


def memory(many: Portal, folder: Path, secrets: Path) -> Row:
    """Return the memory of a worker with its usual cache during a million verifications of 200,000 keys."""
    usual = {name: value for name, value in many.environment.items() if name != "KEYPORTAL_CACHE_ENTRIES"}
    portal = OneThread(folder, many.environment["DATABASE_URL"], **usual)
    portal.log = folder / "memory.log"
    portal.start(workers=1)
    try:
        before, sizes, verified = resident(portal), [], 0.0
        script = each_in_turn(folder, secrets)
        while verified < VERIFICATIONS:
            verified += load(f"{portal.url}/gateway/auth", seconds=5, script=script).rate * 5
            sizes.append(resident(portal))
    finally:
        portal.stop()
    half = sizes[len(sizes) // 2]
    reached = f"{max(sizes):.0f} MB (at the start {before:.0f}, half-way {half:.0f}, at the end {sizes[-1]:.0f})"
    return Row("11", f"one worker's memory, {verified:,.0f} verifications of {GOOD:,} keys", reached, "≤ 150 MB, flat")


def resident(portal: Portal) -> float:
    """Return the resident memory of the server's one worker, in MB."""
    if portal.process is None:
        raise RuntimeError("the portal is not running")
    children = Path(f"/proc/{portal.process.pid}/task/{portal.process.pid}/children").read_text().split()
    sizes = [re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{child}/status").read_text()) for child in children]
    return max(int(size[1]) / 1024 for size in sizes if size)


def page_of_many() -> list[Row]:
    """Compare the keys page of an owner of 10,000 keys with those of owners of 10 keys and of 25, a full page."""
    counts = (10, 25, 10_000)
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name, postgres_cluster() as cluster:
        portal = OneThread(Path(name), cluster.url)
        with portal.running(workers=1):
            people = {count: PortalUser(portal, f"owner-{count}@example.com") for count in counts}
            for count in people:
                fill(portal, count, count, Path(name) / "unused")
                owner = f"User.objects.get(email='owner-{count}@example.com')"
                portal.shell(f"APIKey.objects.filter(owner__email__startswith='many-').update(owner={owner})")
            portal.shell("from django.db import connection; connection.cursor().execute('VACUUM ANALYZE')")
            rounds = [{count: median_time(portal_user) for count, portal_user in people.items()} for _ in range(ROUNDS)]
    what = "keys page of 10,000 keys, 25 of them shown / of {}, time of the server"
    return [
        Row("12", what.format("10 keys, all shown"), spread([times[10_000] / times[10] for times in rounds]), "-"),
        Row("12", what.format("25 keys, all shown"), spread([times[10_000] / times[25] for times in rounds]), "≤ 1.2"),
    ]


def median_time(portal_user: PortalUser) -> float:
    """Return the median time of the keys page, in seconds."""
    took = []
    for _ in range(15):
        started = time.perf_counter()
        portal_user.get("/keys/")
        took.append(time.perf_counter() - started)
    return statistics.median(took)
