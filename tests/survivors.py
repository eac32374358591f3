"""What mutmut left alive: `python -m tests.survivors` after `mutmut run` (both are `make mutants`).

A mutant without an observable effect is listed in tests/mutants_equivalent.toml with the reason. Of
all others 90 in 100 must be killed, file by file; those that are not are shown.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
EQUIVALENT: Final = ROOT / "tests" / "mutants_equivalent.toml"
ENOUGH: Final = 0.9
SURVIVED, UNTESTED, UNTRIED = (0,), (5, 33), (None,)  # mutmut's exit codes


@dataclass
class FileResult:
    """The mutants of one file, by what the tests said of them."""

    killed: int = 0
    equivalent: int = 0
    alive: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The killed ones of those with an observable effect."""
        return self.killed / ((self.killed + len(self.alive)) or 1)


def results_by_file() -> dict[str, FileResult]:
    """Return the results of all mutants, by file."""
    equivalents = equivalent_changes()
    results: dict[str, FileResult] = {}
    for file, name, code in mutmut_results():
        result = results.setdefault(file, FileResult())
        if code not in (*SURVIVED, *UNTESTED, *UNTRIED):
            result.killed += 1
        elif change_of(name) in equivalents:
            result.equivalent += 1
        else:
            result.alive.append(name)
    return results


def mutmut_results() -> Iterator[tuple[str, str, int | None]]:
    """Yield file, name and exit code of every mutant that mutmut has made."""
    for meta in sorted((ROOT / "mutants").glob("*/**/*.py.meta")):
        file = str(meta.relative_to(ROOT / "mutants")).removesuffix(".meta")
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            yield file, name, code


def equivalent_changes() -> set[tuple[str, str]]:
    """Return the changes without an observable effect: what is taken away, and what stands there instead."""
    return {(entry["there"], entry["becomes"]) for entry in tomllib.loads(EQUIVALENT.read_text())["equivalent"]}


def change_of(name: str) -> tuple[str, str]:
    """Return what a mutant takes away and what it puts there, without the spaces around."""
    mutmut = Path(sys.executable).parent / "mutmut"
    shown = subprocess.run([mutmut, "show", name], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if not line.startswith(("---", "+++"))]
    taken, put = ([line[1:].strip() for line in lines if line.startswith(sign)] for sign in "-+")
    return "\n".join(taken), "\n".join(put)


def main() -> int:
    """Show the figures and what is alive. Return the exit code."""
    results = results_by_file()
    for file, result in results.items():
        figures = f"{result.killed} killed, {result.equivalent} equivalent, {len(result.alive)} alive"
        print(f"{result.share:7.1%}  {file}: {figures}")
    for name in (name for result in results.values() for name in result.alive):
        print("\n".join((f"\n{name}", *change_of(name))))
    killed = sum(result.killed for result in results.values())
    alive = sum(len(result.alive) for result in results.values())
    print(f"\n{killed / ((killed + alive) or 1):.1%} of {killed + alive}, beside those without an observable effect.")
    return 0 if all(result.share >= ENOUGH for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
