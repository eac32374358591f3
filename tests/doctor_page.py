"""Writes the table of docs/doctor.md from the kinds of findings: `make configuration`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from keyportal.doctor.examination import KINDS

PAGE: Final = Path(__file__).resolve().parents[1] / "docs/doctor.md"
BEGIN: Final = "<!-- Written by `make configuration` from keyportal/doctor/. -->\n"
END: Final = "<!-- The end of what is written. -->\n"


def render(page: str) -> str:
    """Return the page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(table()) + "\n" + END + after


def table() -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| code | level | means | what to do |"
    yield "|---|---|---|---|"
    for kind in KINDS.values():
        yield f"| `{kind.code}` | {kind.level} | {kind.meaning} | {kind.advice} |"


def write() -> None:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text()))
