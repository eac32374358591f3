"""The commands of docs/operations.md name what is there. That they work, a drill shows (tests/drills/)."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from django.core.management import get_commands

from keyportal.first_secrets.fresh import FRESH
from keyportal.options import OPTIONS
from keyportal.options.reading import parse_env_file, read_option
from tests.drills.page import PAGE, blocks, script
from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once

ON_ONE_MACHINE: Final = "".join(blocks("### On one machine"))
HOME: Final = "/srv/keyportal/"
MADE: Final = {".venv", "var", ".env"}
"""What the commands themselves make there."""


def test_the_commands_are_whole() -> None:
    """Copied into a shell, none waits for more."""
    subprocess.run(["bash", "-n"], input=ON_ONE_MACHINE, text=True, check=True, timeout=DEADLINE)
    assert "mail.example.com" not in script("### On one machine", source="file:///x", mail="smtp://127.0.0.1:25")


def test_every_command_of_the_portal_is_one() -> None:
    named = set(re.findall(r"\bmanage ([a-z]\w+)", PAGE.read_text().partition("\n## Runbooks\n")[0]))
    assert {"migrate", "newsecrets", "createdeveloper", "createscope", "createkey"} <= named
    assert named <= get_commands().keys()


def test_every_file_of_the_project_is_there() -> None:
    named = set(re.findall(rf"{HOME}([\w./*-]+)", ON_ONE_MACHINE))
    ours = {path for path in named if Path(path).parts[0] not in MADE}
    assert len(ours) > 3
    assert all(list(ROOT.glob(path)) for path in ours)


def settings_of_the_page() -> dict[str, str]:
    (written,) = re.findall(r"<<'SETTINGS'\n(.*?)^SETTINGS$", ON_ONE_MACHINE, re.MULTILINE | re.DOTALL)
    return parse_env_file(written)


def test_the_settings_are_settings_with_values_that_they_take() -> None:
    given = settings_of_the_page()
    names = {name.removesuffix("_FILE") for name in given}
    assert names <= {option.name for option in OPTIONS}
    assert set(FRESH) <= names
    for option in OPTIONS:
        if option.name in given:
            read_option(option, given)


def environment_of_units() -> Iterator[tuple[str, str]]:
    for unit in (ROOT / "deploy/systemd").glob("*.service"):
        for line in re.findall(
            r"^(?:User|Group|WorkingDirectory|ReadWritePaths)=(.*)$", unit.read_text(), re.MULTILINE
        ):
            yield unit.name, line


def test_the_units_use_the_user_and_the_folders_that_the_page_makes() -> None:
    assert {value for _, value in environment_of_units()} == {"keyportal", "/srv/keyportal", "/srv/keyportal/var"}
    for made in ("adduser --system --group --home /srv/keyportal", "-m 700 /srv/keyportal/var"):
        assert made in ON_ONE_MACHINE
