"""Break the code on purpose, one edit at a time, and see that a test notices: `python -m tests.mutants [NAME …]`.

The edits stand in tests/mutants.toml: what mutmut can't reach (module level, settings, decorators), and what was once
broken while every test stayed green. Each is applied in a copy of the tree; the tests that it names must fail there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LIST: Final = ROOT / "tests" / "mutants.toml"
COPIED: Final = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
AT_ONCE: Final = 2
PASSED, FAILED = 0, 1  # pytest's own


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One edit, the tests that should notice it, and why it matters."""

    name: str
    file: str
    there: str
    becomes: str
    tests: tuple[str, ...]
    why: str
    database: str = "sqlite"
    """`postgresql` for what only its listener does."""

    def fault(self) -> str:
        """Return in words why the edit can't be made; empty if it can."""
        if self.there == self.becomes:
            return "changes nothing"
        found = (ROOT / self.file).read_text().count(self.there) if (ROOT / self.file).exists() else 0
        return "" if found == 1 else f"the text is {found} times in {self.file}"

    @contextmanager
    def applied(self, tree: Path) -> Iterator[None]:
        """Make the edit in a copy of the tree, and take it back."""
        file = tree / self.file
        original = file.read_text()
        file.write_text(original.replace(self.there, self.becomes))
        try:
            yield
        finally:
            file.write_text(original)


def mutants() -> list[Mutant]:
    """Return the list. Raises `TypeError` for an entry that lacks something."""
    entries = tomllib.loads(LIST.read_text())["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def faults(chosen: Iterable[Mutant]) -> list[str]:
    """Return what is wrong with the list itself, in words."""
    return [f"{mutant.name}: {fault}" for mutant in chosen if (fault := mutant.fault())]


def outcome(mutant: Mutant, tree: Path) -> tuple[int, str]:
    """Run the mutant's tests against it; return pytest's exit code and its last line."""
    with mutant.applied(tree):
        code, lines = _run_tests(tree, mutant.tests, mutant.database)
    return code, lines[-1]


def main(arguments: list[str] | None = None) -> int:
    """Try the mutants that are named, or all; say which survive. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names")
    names = parser.parse_args(arguments).names
    chosen = [mutant for mutant in mutants() if not names or any(name in mutant.name for name in names)]
    if wrong := faults(chosen):
        print("\n".join(wrong))
        return 2
    with tempfile.TemporaryDirectory(prefix="keyportal-mutants-") as folder:
        trees: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            trees.put(_copy_project(Path(folder) / str(number)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            if not all(pool.map(lambda group: _passes(group[0], group[1], trees), _groups(chosen))):
                print("Without any mutant these tests fail already: nothing can be told.")
                return 2
            killed = list(pool.map(lambda mutant: _is_killed(mutant, trees), chosen))
    print(f"{sum(killed)} of {len(killed)} mutants killed.")
    return 0 if all(killed) else 1


def _is_killed(mutant: Mutant, trees: "Queue[Path]") -> bool:
    tree = trees.get()
    try:
        code, said = outcome(mutant, tree)
    finally:
        trees.put(tree)
    status = {PASSED: "SURVIVED", FAILED: "killed"}.get(code, f"BROKEN ({code})")
    print(f"{status:9} {mutant.name}: {said}", flush=True)
    return code == FAILED


def _groups(chosen: Iterable[Mutant]) -> list[tuple[str, list[str]]]:
    """Return the tests of all mutants by database, each once."""
    tests: dict[str, dict[str, None]] = {}
    for mutant in chosen:
        tests.setdefault(mutant.database, {}).update(dict.fromkeys(mutant.tests))
    return [(database, list(names)) for database, names in tests.items()]


def _passes(database: str, tests: list[str], trees: "Queue[Path]") -> bool:
    tree = trees.get()
    try:
        code, lines = _run_tests(tree, tests, database)
    finally:
        trees.put(tree)
    named = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    print("\n".join([f"without any mutant, {database}: {lines[-1]}", *named]), flush=True)
    return code == PASSED


def _run_tests(tree: Path, tests: Iterable[str], database: str) -> tuple[int, list[str]]:
    """Run tests in a copy of the tree, until the first fails; return the exit code and what pytest said."""
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    command = [sys.executable, "-m", "tests.with_postgres", *pytest] if database == "postgresql" else pytest
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    # Bytecode is told apart by time and length alone, and an edit may change neither.
    environment = {**inherited, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in ended.stdout.splitlines() if line.strip()]
    return ended.returncode, lines or ended.stderr.splitlines()[-1:] or ["nothing"]


def _copy_project(tree: Path) -> Path:
    """Copy what git would take of the project, and lend it the virtual environment."""
    listed = subprocess.run(COPIED, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    if not (tree / ".venv").exists():
        (tree / ".venv").symlink_to(ROOT / ".venv")
    return tree


if __name__ == "__main__":
    sys.exit(main())
