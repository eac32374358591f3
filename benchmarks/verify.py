"""What the check of a key costs: `/api/v1/me` with a key beside `/healthz`, which asks nobody, on the same server.

`make bench` runs it on SQLite and on PostgreSQL: wrk against Granian with one worker, rounds in turn, medians with
their spread. It writes benchmarks/results.md. Only ratios mean anything: absolute figures are this machine's noise.
"""

import os
import platform
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import django

from tests.portal import ROOT, Portal
from tests.with_postgres import postgres_cluster

ROUNDS = int(os.environ.get("ROUNDS", "10"))
SECONDS = int(os.environ.get("SECONDS", "2"))
RESULTS = ROOT / "benchmarks" / "results.md"


def rate(portal: Portal, path: str, *headers: str) -> float:
    """Give the requests a second that wrk counts over 8 connections. Raises RuntimeError if one was not 200."""
    given = [part for header in headers for part in ("-H", header)]
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", *given, portal.url + path]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if found is None or "Non-2xx" in printed:
        raise RuntimeError(printed)
    return float(found[1])


def measure(database_url: str, folder: Path) -> list[tuple[float, float]]:
    """Give a pair a round: the view without a check, the view with it."""
    with Portal(folder, database_url).running(workers=1) as portal:
        portal.make_developer("bench@example.com")
        _, secret = portal.make_key("bench@example.com")
        authorization = f"Authorization: Bearer {secret}"
        rate(portal, "/api/v1/me", authorization)
        return [(rate(portal, "/healthz"), rate(portal, "/api/v1/me", authorization)) for _ in range(ROUNDS)]


def row(name: str, pairs: list[tuple[float, float]]) -> str:
    """Give a line of the table."""
    ratios = sorted(checked / bare for bare, checked in pairs)
    bare, checked = (statistics.median(column) for column in zip(*pairs, strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    return f"| {name} | {bare:,.0f} | {checked:,.0f} | **{statistics.median(ratios):.2f}** | {spread} |"


def in_a_folder(work: Callable[[Path], list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Run the work in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as folder:
        return work(Path(folder))


def main() -> None:
    """Measure on both databases and write the table."""
    rows = [row("SQLite", in_a_folder(lambda folder: measure(f"sqlite:///{folder / 'bench.sqlite3'}", folder)))]
    with postgres_cluster() as cluster:
        rows.append(row("PostgreSQL", in_a_folder(lambda folder: measure(cluster.url, folder))))
    versions = f"Python {platform.python_version()}, Django {django.__version__}"
    about = f"{versions}, {os.cpu_count()} cores, {ROUNDS} rounds of {SECONDS} s"
    head = "| database | /healthz, requests/s | /api/v1/me with a key | ratio | spread |\n|---|---|---|---|---|"
    RESULTS.write_text(f"# What the check of a key costs\n\n{about}.\n\n{head}\n" + "\n".join(rows) + "\n")
    print(RESULTS.read_text())  # noqa: T201  # this is what the command is for


if __name__ == "__main__":
    main()
