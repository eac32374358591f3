"""What nginx with the module says and does if something is wrong with its configuration or its key."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.edges import Edge, running_edge
from tests.ports import free_port
from tests.waiting import wait_until
from vault.secret_format import new_secret

pytestmark = [pytest.mark.once, pytest.mark.edge]

PATH: Final = "/reports/1"
PORTAL: Final = r'portal = "[^"]+",'
MISTAKES: Final = {
    "no portal": (PORTAL, "", "start needs the option “portal”"),
    "no scheme": (PORTAL, 'portal = "portal.test",', "the option “portal” of start has to be like https://"),
    "a path": (PORTAL, 'portal = "https://portal.test/x",', "the option “portal” of start has to be like https://"),
    "no name": (PORTAL, 'portal = "https://[::1]",', "over https, the option “portal” of start has to have a name"),
    "bad address": (PORTAL, 'portal = "https://portal.test", address = "x",', "the option “address” of start has to"),
    "no key file": (r'key_file = "[^"]+",', "", "start needs the option “key_file”"),
    "unknown option": ("service =", "servce =", "start has no option “servce”"),
    "wrong type": ('service = "nginx"', "service = 5", "the option “service” of start has to be a string"),
    "bad service": ('service = "nginx"', 'service = "Nginx"', "the option “service” of start is 1 to 16 small letters"),
    "no options": (r"(?s)start \{.*?\n    \}", "start()", "start needs its options in braces"),
    "no start": (r"(?s)init_worker_by_lua_block \{.*?\n\}", "", "start has not been called. Include keyportal.conf"),
    "no dictionary": (r"lua_shared_dict keyportal 32m;", "", "add “lua_shared_dict keyportal 32m;” to http {}"),
}
LOCATIONS: Final = """
    location /typo/ { access_by_lua_block { require("keyportal").protect { scopes = "reports:read" } } }
    location /list/ { access_by_lua_block { require("keyportal").protect { audience = { "reports" } } } }
"""


@contextmanager
def started(folder: Path, key: str = "", portal: str = "https://portal.test", *, workers: int = 2) -> Iterator[Edge]:
    """Start an nginx in front of nothing."""
    if key:
        (folder / "keyportal.key").write_text(key)
    with running_edge(folder, free_port(), portal, 9, locations=LOCATIONS, workers=workers) as edge:
        yield edge


def with_mistake(folder: Path, pattern: str, replacement: str) -> AbstractContextManager[Edge]:
    """Start an nginx with one worker and a mistake in its configuration."""
    return running_edge(folder, free_port(), "https://portal.test", 9, workers=1, changed={pattern: replacement})


def errors(edge: Edge) -> list[str]:
    """Return the lines of the log that are errors, or no beginning of a line, as of a trace."""
    return [line for line in edge.log().splitlines() if not re.match(r"\S+ \S+ \[notice\]", line)]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_start_is_one_line_and_lets_nobody_in(tmp_path: Path, mistake: str) -> None:
    pattern, replacement, said = MISTAKES[mistake]
    with with_mistake(tmp_path, pattern, replacement) as edge:
        assert {edge.status(PATH, new_secret("kp", "live")) for _ in range(3)} | {edge.status(PATH)} == {500}
        [line] = errors(edge)
        assert f"keyportal: {said}" in line


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/typo/", "protect has no option “scopes”"),
        ("/list/", "the option “audience” of protect has to be a string, and is a table"),
    ],
)
def test_a_mistake_in_protect_is_one_line(tmp_path: Path, path: str, said: str) -> None:
    with started(tmp_path, new_secret("kp", "live")) as edge:
        assert {edge.status(path, new_secret("kp", "live")) for _ in range(6)} == {500}
        [line] = [line for line in errors(edge) if "can't be reached" not in line]
        assert f"keyportal: {said}" in line


@pytest.mark.parametrize("written", ['"KEY"', "'KEY'", "key = KEY", "KEY KEY", "", "kp_live_KEY", "x.y.z"])
def test_a_key_file_with_something_else_is_said_and_read_again(tmp_path: Path, written: str) -> None:
    key = new_secret("kp", "live")
    with started(tmp_path, written.replace("KEY", key) or "\n") as edge:
        wait_until(lambda: "holds something else than a key" in edge.log())
        assert edge.status(PATH, new_secret("kp", "live")) == 503
        (tmp_path / "keyportal.key").write_text(f"  {key}\n")
        wait_until(lambda: "the portal can't be reached" in edge.log())
        assert key not in edge.log()


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_key_file_that_can_not_be_read_is_said(tmp_path: Path, is_folder: bool) -> None:
    if is_folder:
        (tmp_path / "keyportal.key").mkdir()
    with started(tmp_path) as edge:
        wait_until(lambda: "nginx's workers can't read a file at key_file" in edge.log())
        assert edge.status(PATH, new_secret("kp", "live")) == 503
        assert "something else" not in edge.log()


@pytest.mark.parametrize(
    ("portal", "is_open"),
    [
        ("http://portal.test", True),
        ("http://127.portal.test", True),
        ("https://portal.test", False),
        ("http://127.0.0.1:9", False),
        ("http://localhost:9", False),
        ("http://[::1]:9", False),
    ],
)
def test_keys_that_others_may_read_on_the_way_are_said_once(tmp_path: Path, portal: str, is_open: bool) -> None:
    with started(tmp_path, new_secret("kp", "live"), portal) as edge:
        wait_until(lambda: "the portal can't be reached" in edge.log())
        assert edge.log().count("in plain text") == is_open
