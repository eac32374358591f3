"""Writes docs/conformance.md from rows.toml and the marks of the tests: `make conformance`."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "tests/conformance/rows.toml"
REPORT = ROOT / "docs/conformance.md"
HEAD = """\
# Conformance

What the RFCs ask, row by row, and the tests that hold keyportal to it. Written by `make conformance` from the marks of
the tests; `make test` fails if it is out of date. Level: **M** an RFC's MUST, **S** a SHOULD or OWASP ASVS L1/L2, **P**
our own decision.
"""
MARK = re.compile(r"pytest\.mark\.conformance\('([\w-]+)'\)")
MET, REASON = 3, 4  # the entries of a row: clause, level, requirement, and perhaps why it is not met

Section = Mapping[str, Sequence[str]]


def tests_by_row() -> Mapping[str, set[str]]:
    """Return the tests of each row, by the marks in their source."""
    tests: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for row in filter(None, map(MARK.fullmatch, map(ast.unparse, node.decorator_list))):
                    tests[row[1]].add(f"{path.relative_to(ROOT)}: {node.name}")
    return tests


def render(sections: Mapping[str, Section], tests: Mapping[str, set[str]]) -> str:
    """Return the page."""
    rows = {name: row for section in sections.values() for name, row in section.items()}
    missed = {name: row[MET] for name, row in rows.items() if len(row) == REASON}
    lines = [HEAD, f"{len(rows) - len(missed)} of {len(rows)} rows are met. Not met:\n"]
    lines += [f"- {name}: {reason}" for name, reason in missed.items()]
    for title, section in sections.items():
        lines += [f"\n## {title}\n", "| id | clause | level | requirement | tests |", "|---|---|---|---|---|"]
        for name, (clause, level, requirement, *_) in section.items():
            held = "<br>".join(sorted(tests.get(name, ()))) or f"**not met**: {missed.get(name, '?')}"
            lines.append(f"| {name} | {clause} | {level} | {requirement} | {held} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page; with `--check`, end with 1 if it is not up to date, or if a row has neither test nor reason."""
    sections: Mapping[str, Section] = tomllib.loads(ROWS.read_text())
    tests = tests_by_row()
    rows = {name: row for section in sections.values() for name, row in section.items()}
    bare = sorted(name for name, row in rows.items() if name not in tests and len(row) < REASON)
    stray = sorted(tests.keys() - rows.keys())
    if bare or stray:
        sys.exit(f"rows with neither a test nor a reason: {bare}; marks that name no row: {stray}")
    page = render(sections, tests)
    if "--check" not in sys.argv:
        REPORT.write_text(page)
    elif REPORT.read_text() != page:
        sys.exit("docs/conformance.md is out of date: make conformance")


if __name__ == "__main__":
    main()
