"""Writes the tables of docs/configuration.md from the table of settings: `make configuration`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from keyportal.options import GROUPS
from keyportal.options.option import Option

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/configuration.md"
BEGIN = "<!-- Written by `make configuration` from keyportal/options/. -->\n"
END = "<!-- The end of what is written. -->\n"


def render(page: str) -> str:
    """Return the page with the tables of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(tables()) + "\n" + END + after


def tables() -> Iterator[str]:
    """Yield the lines of a table a group."""
    for title, options in GROUPS.items():
        yield f"\n### {title}\n"
        yield "| name | takes | default | meaning |"
        yield "|---|---|---|---|"
        yield from map(row, options)
    yield ""


def row(option: Option) -> str:
    """Return the line of a setting."""
    takes = option.kind.name + (", secret" if option.secret else "")
    default = option.shown or (f"`{option.default}`" if option.default else "none")
    meaning = option.meaning + (f". Such as `{option.example}`" if option.example else "")
    return f"| `{option.name}` | {takes} | {default} | {meaning} |"


def main() -> None:
    """Write the page; with `--check`, end with 1 if it is not up to date."""
    page = PAGE.read_text()
    if BEGIN not in page or END not in page:
        sys.exit("docs/configuration.md has lost the marks between which its tables are written")
    if "--check" not in sys.argv:
        PAGE.write_text(render(page))
    elif page != render(page):
        sys.exit("docs/configuration.md is out of date: make configuration")


if __name__ == "__main__":
    main()
