"""A million checks by records while commits, polls, lost messages and outages come in random order (`random_play`)."""

import os
import subprocess
import sys

from benchmarks.rows import Row, Table
from tests.portal import ROOT


def measure() -> list[Table]:
    """Return the table. Raises CalledProcessError if a record was checked by for too long."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'clients/python'}"
    command = [sys.executable, "-m", "benchmarks.random_play"]
    printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    answered, worlds, steps = map(int, printed.split())
    what = f"checks by a record, in {worlds} worlds of 3 workers and 3 verifiers, with {steps:,} random steps each"
    row = Row("-", what, f"{answered:,}, none past its bound", "1,000,000, none past its bound")
    return [Table("Random interleavings", [row])]
