"""Writes the last figures of a drill into docs/drills.md, between the marks of its section."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.processes import ROOT

PAGE = ROOT / "docs/drills.md"


def write_figures(drill: str, figures: Mapping[str, str], page: Path = PAGE) -> None:
    """Replace the table of a drill. Raises `AssertionError` if the page has no place for it."""
    begin, end = f"<!-- figures: {drill} -->\n", f"<!-- end: {drill} -->\n"
    before, found, rest = page.read_text().partition(begin)
    assert found, f"{page.name} has no line {begin!r}"
    _, found, after = rest.partition(end)
    assert found, f"{page.name} has no line {end!r}"
    rows = {**figures, "last run": f"{datetime.now(UTC):%Y-%m-%d}"}
    table = "".join(f"| {re.sub(r'[|]', '/', name)} | {value} |\n" for name, value in rows.items())
    page.write_text(f"{before}{begin}\n| | |\n|---|---|\n{table}\n{end}{after}")
