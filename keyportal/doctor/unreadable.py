"""What the doctor says where the settings can't be read, so that nothing else can be looked at. Needs no Django."""

import sys
from collections.abc import Sequence

from keyportal.doctor.findings import as_json, problem, summary, worst_status

UNREADABLE = problem(
    "settings_unreadable",
    meaning="Neither the portal nor any of its commands starts.",
    advice="Correct the setting: docs/configuration.md says what it takes.",
)


def print_unreadable(lines: Sequence[str], *, for_programs: bool) -> int:
    """Print a finding for each line about a setting, as JSON for programs; return the exit status."""
    found = [UNREADABLE.found(line.removeprefix("keyportal: ")) for line in lines]
    if for_programs:
        sys.stdout.write(f"{as_json(found)}\n")
        return worst_status(found)
    for finding in found:
        sys.stdout.write(f"PROBLEM {finding.code}: {finding.seen}\n")
    sys.stdout.write(f"    {UNREADABLE.meaning}\n    {UNREADABLE.advice}\n{summary(found)}\n")
    return worst_status(found)
