"""What an examination finds. Each kind is declared once, beside the code that finds it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How much a finding matters."""

    PROBLEM = "problem"
    """Something does not work, or is not safe."""
    WARNING = "warning"
    """It works, but will not for long, or not under load, or is weaker than it should be."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. No text holds a value of a setting or of a request."""

    code: str
    """What programs may compare; the sentences may change."""
    level: Level
    seen: str
    meaning: str
    advice: str

    def members(self) -> dict[str, str]:
        """Return the finding as it is in JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding: its code, how much it matters, what it means and what to do."""

    code: str
    level: Level
    meaning: str
    advice: str

    def found(self, seen: str) -> Finding:
        """Return a finding of this kind; `seen` is one sentence about this deployment."""
        return Finding(code=self.code, level=self.level, seen=seen, meaning=self.meaning, advice=self.advice)


KINDS: Final[dict[str, Kind]] = {}
"""Every kind by its code, in the order of the modules that declare them. docs/operations.md lists them."""

Examination = Callable[[], Iterable[Finding]]


def problem(code: str, *, meaning: str, advice: str) -> Kind:
    """Declare a kind of problem."""
    return _declare(Kind(code, Level.PROBLEM, meaning, advice))


def warning(code: str, *, meaning: str, advice: str) -> Kind:
    """Declare a kind of warning."""
    return _declare(Kind(code, Level.WARNING, meaning, advice))


def note(code: str, *, meaning: str, advice: str) -> Kind:
    """Declare a kind of note."""
    return _declare(Kind(code, Level.NOTE, meaning, advice))


def _declare(kind: Kind) -> Kind:
    if KINDS.setdefault(kind.code, kind) is not kind:
        raise ValueError(kind.code)
    return kind


STATUS: Final = {Level.PROBLEM: 2, Level.WARNING: 1, Level.NOTE: 0}
"""The exit status for a finding, as Nagios and its kin read it: 0 OK, 1 warning, 2 critical."""


def by_weight(found: Iterable[Finding]) -> list[Finding]:
    """Return findings, worst first."""
    return sorted(found, key=lambda finding: -STATUS[finding.level])


def worst_status(found: Iterable[Finding]) -> int:
    """Return the exit status for all of them."""
    return max((STATUS[finding.level] for finding in found), default=0)


def summary(found: Sequence[Finding]) -> str:
    """Return a sentence about all of them."""
    if not worst_status(found):
        return "Healthy."
    problems, warnings = (sum(finding.level is level for finding in found) for level in (Level.PROBLEM, Level.WARNING))
    return f"{_count(problems, 'problem')} and {_count(warnings, 'warning')}."


def as_json(found: Sequence[Finding]) -> str:
    """Return findings as a JSON object, worst first."""
    members = [finding.members() for finding in by_weight(found)]
    return json.dumps({"healthy": not worst_status(found), "summary": summary(found), "findings": members}, indent=2)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
