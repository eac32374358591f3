"""Writes the table of findings in docs/threat-model.md from tests/findings.toml and the marks: `make conformance`."""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FINDINGS = ROOT / "tests/findings.toml"
PAGE = ROOT / "docs/threat-model.md"
BEGIN = "<!-- Written by `make conformance` from tests/findings.toml and the marks of the tests. -->\n"
END = "<!-- The end of what is written. -->\n"

Tests = Mapping[str, Mapping[str, list[str]]]
"""Names of tests by finding and file; none where all of the file are meant."""


def tests_by_finding() -> Tests:
    """Return the tests of each finding, by the marks in their source."""
    tests: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = str(path.relative_to(ROOT / "tests"))
        tree = ast.parse(path.read_text())
        for row in _marks(node.value for node in tree.body if isinstance(node, ast.Assign)):
            tests[row][file] = []
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                for row in _marks(node.decorator_list):
                    if tests[row].get(file) != []:
                        tests[row].setdefault(file, []).append(node.name)
    return tests


def _marks(nodes: Iterator[ast.expr] | list[ast.expr]) -> Iterator[str]:
    for call in (inner for node in nodes for inner in ast.walk(node)):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.finding":
            yield ast.literal_eval(call.args[0])


def render(page: str, findings: Mapping[str, str], tests: Tests) -> str:
    """Return the page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    lines = ["\n| id | kind of fault | tests |", "|---|---|---|"]
    for row, kind in findings.items():
        held = "<br>".join(": ".join(filter(None, (file, ", ".join(names)))) for file, names in tests[row].items())
        lines.append(f"| {row} | {kind} | {held} |")
    return before + BEGIN + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]


def main() -> None:
    """Write the page; with `--check`, end with 1 if it is not up to date, or if a finding has no test."""
    findings, tests = tomllib.loads(FINDINGS.read_text()), tests_by_finding()
    if bare_or_stray := sorted(findings.keys() ^ tests.keys()):
        sys.exit(f"findings without a test, or marks that name none: {bare_or_stray}")
    page = PAGE.read_text()
    if BEGIN not in page or END not in page:
        sys.exit("docs/threat-model.md has lost the marks between which its table is written")
    if "--check" not in sys.argv:
        PAGE.write_text(render(page, findings, tests))
    elif page != render(page, findings, tests):
        sys.exit("docs/threat-model.md is out of date: make conformance")


if __name__ == "__main__":
    main()
