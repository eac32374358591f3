"""Writes the table of metrics in docs/operations.md from the portal's own table: `make configuration`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django

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
    from keyportal.metrics.table import FAMILIES  # after Django is set up

    for title, metrics in FAMILIES.items():
        yield f"\n### {title}\n"
        yield "| metric | says | what to do |"
        yield "|---|---|---|"
        for metric in metrics:
            labels = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
            yield f"| `{metric.name}{labels}` | {metric.says} | {metric.advice} |"
    yield ""


def main() -> None:
    """Write the page; with `--check`, end with 1 if it is not up to date."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    page = PAGE.read_text()
    if BEGIN not in page or END not in page:
        sys.exit("docs/operations.md has lost the marks between which its metrics are written")
    if "--check" not in sys.argv:
        PAGE.write_text(render(page))
    elif page != render(page):
        sys.exit("docs/operations.md is out of date: make configuration")


if __name__ == "__main__":
    main()
