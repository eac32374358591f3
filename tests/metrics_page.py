"""Writes the table of metrics in docs/operations.md from the portal's own table: `make configuration`."""

from collections.abc import Iterator
from pathlib import Path

from keyportal.metrics.table import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/operations.md"
BEGIN = "<!-- Written by `make configuration` from keyportal/metrics/. -->\n"
END = "<!-- The end of the metrics. -->\n"


def render(page: str) -> str:
    """Return the page with the metrics of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(tables()) + "\n" + END + after


def tables() -> Iterator[str]:
    """Yield the lines of a table for each family."""
    for title, metrics in FAMILIES.items():
        yield f"\n### {title}\n"
        yield "| metric | says | what to do |"
        yield "|---|---|---|"
        for metric in metrics:
            labels = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
            yield f"| `{metric.name}{labels}` | {metric.says} | {metric.advice} |"
    yield ""


def write() -> None:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text()))
