"""`make bench`: measure everything in docs/scaling.md in one run, and write results.md and results.json.

`PARTS="checks upkeep"` measures only those parts and keeps the earlier results of the others.
"""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import django

from benchmarks import checks, interleavings, likeness, restarts, scale, services, staleness, storms, upkeep, verifiers
from benchmarks.rows import Row, Table
from tests.portal import ROOT, Portal

RESULTS: Final = ROOT / "benchmarks" / "results.json"
PAGE: Final = ROOT / "benchmarks" / "results.md"
PARTS: Final[dict[str, Callable[[], list[Table]]]] = {
    "checks": checks.measure,
    "scale": scale.measure,
    "staleness": staleness.measure,
    "likeness": likeness.measure,
    "upkeep": upkeep.measure,
    "restarts": restarts.measure,
    "verifiers": verifiers.measure,
    "services": services.measure,
    "storms": storms.measure,
    "interleavings": interleavings.measure,
}


@dataclass(frozen=True)
class Result:
    """The results of one part, with when and on what machine they were measured."""

    tables: list[Table]
    measured: str

    @classmethod
    def of_json(cls, written: dict[str, Any]) -> "Result":
        """Return the result that an earlier run has written."""
        tables = [Table(title, [Row(*row) for row in rows], *rest) for title, rows, *rest in written["tables"]]
        return cls(tables, written["measured"])


def main() -> None:
    """Measure the parts one after the other, and write the results of all of them."""
    Portal.python_path = ""  # the other libraries import modules that tests leave out
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results = {name: Result.of_json(written) for name, written in found.items() if name in PARTS}
    for name in os.environ.get("PARTS", "").split() or PARTS:
        print(f"measuring {name} …", flush=True)  # noqa: T201  # it takes a while
        results[name] = Result(PARTS[name](), _machine())
        RESULTS.write_text(json.dumps({part: vars(result) for part, result in results.items()}, indent=1) + "\n")
        PAGE.write_text(page(results))
    print(PAGE.read_text())  # noqa: T201  # the command's output


def page(results: dict[str, Result]) -> str:
    """Return the page of results in Markdown."""
    lines = [
        "# What was measured\n",
        "By `make bench`, in one run on one machine. Compare the ratios: absolute figures vary with its load. The",
        "brackets have the lowest and the highest round. docs/scaling.md says what follows.",
    ]
    for name in PARTS:
        if name in results:
            for table in results[name].tables:
                lines += table.lines()
            lines.append(f"\n{results[name].measured}")
    return "\n".join(lines) + "\n"


def _machine() -> str:
    versions = f"Python {platform.python_version()}, Django {django.__version__}"
    return f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {versions}, {os.cpu_count()} cores."


if __name__ == "__main__":
    main()
