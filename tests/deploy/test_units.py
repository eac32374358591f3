"""The systemd units: what systemd itself says of them. That they work, a drill shows on a machine with systemd."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = [pytest.mark.once, pytest.mark.systemd, pytest.mark.finding("H45")]

UNITS: Final = sorted((ROOT / "deploy/systemd").iterdir())
SERVICES: Final = [unit for unit in UNITS if unit.suffix == ".service"]
THRESHOLD: Final = 24
"""In tenths: below 2.5 of 10, “OK”."""
every_service = pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.stem)


def analyze(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)


def test_systemd_understands_every_line_of_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        here = unit.read_text().replace("/srv/keyportal/docs", "/").replace("/srv/keyportal", str(ROOT))
        (tmp_path / unit.name).write_text(here.replace("file:///", "https://portal.example.com/"))
    verified = analyze("verify", "--man=no", *tmp_path.iterdir())
    assert (verified.returncode, verified.stderr) == (0, "")


@every_service
def test_a_service_that_is_taken_over_can_do_little_to_the_machine(service: Path) -> None:
    judged = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", service)
    assert judged.returncode == 0, judged.stdout


@every_service
def test_the_services_differ_in_what_they_start_and_not_in_what_they_may(service: Path) -> None:
    def rights(unit: Path) -> str:
        return unit.read_text().partition("\nUMask=")[2].partition("\n\n")[0].strip()

    assert rights(service) == rights(ROOT / "deploy/systemd/keyportal.service") != ""


def test_every_timer_starts_a_service_that_is_there() -> None:
    timers = {unit.stem for unit in UNITS if unit.suffix == ".timer"}
    assert timers == {"keyportal-purge", "keyportal-remind"} == {unit.stem for unit in SERVICES} - {"keyportal"}


def test_the_server_is_started_again_and_ends_in_time() -> None:
    unit = (ROOT / "deploy/systemd/keyportal.service").read_text()
    assert re.search(r"^Restart=always$", unit, re.MULTILINE)
    assert re.search(r"^Type=notify$", unit, re.MULTILINE)
