"""Writes docs/conformance.md from rows.toml and the marks of the tests: `make conformance`."""

import io
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "tests/conformance/rows.toml"
REPORT = ROOT / "docs/conformance.md"
HEAD = """\
# Conformance

What the RFCs ask, row by row, and the tests that hold keyportal to it. Written by `make conformance` from the marks of
the tests; `make test` fails if it is out of date. Level: **M** an RFC's MUST, **S** a SHOULD or OWASP ASVS L1/L2, **P**
our own decision.
"""
MET, REASON = 3, 4  # the entries of a row: clause, level, requirement, and perhaps why it is not met

Section = Mapping[str, Sequence[str]]


class Marks:
    """A pytest plugin that notes which tests name which row."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the marks of every test."""
        for item in items:
            for mark in item.iter_markers("conformance"):
                path = item.path.relative_to(ROOT)
                self.tests[mark.args[0]].add(f"{path}: {getattr(item, 'originalname', item.name)}")


def collected() -> Mapping[str, set[str]]:
    """Give the tests of each row. Raises RuntimeError if they can't be collected."""
    marks = Marks()
    with redirect_stdout(io.StringIO()):
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", str(ROOT / "tests")], [marks])
    if code != pytest.ExitCode.OK:
        raise RuntimeError("the tests can't be collected")
    return marks.tests


def written(sections: Mapping[str, Section], tests: Mapping[str, set[str]]) -> str:
    """Give the page."""
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
    tests = collected()
    rows = {name: row for section in sections.values() for name, row in section.items()}
    bare = sorted(name for name, row in rows.items() if name not in tests and len(row) < REASON)
    stray = sorted(tests.keys() - rows.keys())
    if bare or stray:
        sys.exit(f"rows with neither a test nor a reason: {bare}; marks that name no row: {stray}")
    page = written(sections, tests)
    if "--check" not in sys.argv:
        REPORT.write_text(page)
    elif REPORT.read_text() != page:
        sys.exit("docs/conformance.md is out of date: make conformance")


if __name__ == "__main__":
    main()
