"""What `purge` costs: time and memory for 5,000 and for 1,000,000 expired rows, on SQLite.

On PostgreSQL: `python -m tests.with_postgres python -m benchmarks.purge`.
"""

import os
import tempfile
import time
from pathlib import Path

from tests.databases import portal_database
from tests.portal import Portal

COUNTS = (5_000, 1_000_000)


def main() -> None:
    """Print a line for each number of rows; memory should be the same for both."""
    for count in COUNTS:
        with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name:
            folder = Path(name)
            with portal_database(folder) as database_url:
                portal = Portal(folder, database_url)
                portal.command("migrate", "--verbosity=0")
                portal.shell(f"from tests.keyportal.test_purge import many_expired; many_expired({count})")
                started = time.perf_counter()
                purging = portal.begin("purge")
                _, _, used = os.wait4(purging.pid, 0)
                portal.stop()
                took = time.perf_counter() - started
                kind = database_url.partition(":")[0]
                print(f"{kind}: {count:,} rows in {took:.1f} s, at most {used.ru_maxrss // 1024} MB")  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("DATABASE_URL", "sqlite:///")
    main()
