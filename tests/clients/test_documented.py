"""What the command can do is documented, and its README names what it reads."""

import re
from collections.abc import Iterator

import click
import pytest

from keyportal.options.spelling import stray_names
from keyportal_client.cli.exit_status import ExitStatus
from keyportal_client.cli.root import keyportal
from tests.portal import ROOT

pytestmark = pytest.mark.once
PAGE = (ROOT / "docs/command.md").read_text()
README = (ROOT / "clients/python/README.md").read_text()
OF_EVERY_COMMAND = {"--json", "--help"}


def commands(group: click.Group, path: str = "keyportal") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ALL = dict(commands(keyportal))


@pytest.mark.parametrize("path", ALL)
def test_a_command_has_its_line_with_all_its_options(path: str) -> None:
    line = re.search(rf"^\| `{path}( ID)?` \|.*$", PAGE, re.MULTILINE)
    assert line
    options = {name for parameter in ALL[path].params for name in parameter.opts if name.startswith("--")}
    assert "--json" in options
    assert set(re.findall(r"`(--[a-z-]+)", line[0])) == options - OF_EVERY_COMMAND
    assert any(parameter.human_readable_name == "ID" for parameter in ALL[path].params) == bool(line[1])


@pytest.mark.parametrize("path", ALL)
def test_a_command_and_its_options_have_help(path: str) -> None:
    assert ALL[path].help
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help
            assert parameter.help.endswith((".", "…"))


def test_no_command_is_documented_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `(keyportal(?: keys)? [a-z-]+)", PAGE, re.MULTILINE)) == set(ALL)


def test_every_exit_status_is_documented() -> None:
    assert re.findall(r"^\| (\d+) \|", README, re.MULTILINE) == [str(status.value) for status in ExitStatus]
    assert re.findall(r"\b(\d+) ", keyportal.epilog or "") == [str(status.value) for status in ExitStatus]


def test_every_variable_is_documented() -> None:
    text = "".join(path.read_text() for path in (ROOT / "clients/python/keyportal_client").rglob("*.py"))
    read = set(re.findall(r"environ\.get\(\"(\w+)\"", text)) - {"TERM", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"}
    assert {*re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)} == read
    assert stray_names(dict.fromkeys(read, "x"), {}) == ()  # the portal does not take them for settings of its own
