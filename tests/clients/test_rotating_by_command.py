"""`keyportal keys rotate`, and handing the new secret over to a command."""

import contextlib
import json
import os
import re
import signal
import stat
from pathlib import Path

import pytest

from tests.clients.command import Command
from tests.clients.conftest import MANAGER, Machine
from tests.portal import Portal
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
SECRET = re.compile(r"kp_(?:live|test)_[0-9A-Za-z]{49}")
HAND_OVER = """#!/bin/sh
{ stat -c '%a' "$1"; stat -c '%a' "$(dirname "$1")"; } > taken.mode
cp "$1" taken; echo "$1" > taken.path; echo said; cat /proc/$$/cmdline | tr '\\0' ' ' > taken.words
"""


def status_of(portal: Portal, credential: str) -> int:
    return portal.get("/api/v1/me", Authorization=f"Bearer {credential}").status


@pytest.fixture
def rotated(portal: Portal, machine: Machine) -> tuple[str, str]:
    """A key of the machine's developer, to be rotated: its id and its secret."""
    return portal.make_key(machine.email, name="billing server")


def script(machine: Machine, text: str) -> str:
    """Write a program into the machine's folder and return its path."""
    path = machine.command.folder / "hand-over"
    path.write_text(text)
    path.chmod(stat.S_IRWXU)
    return str(path)


def test_the_new_secret_is_printed_and_the_old_one_goes_on(
    portal: Portal, machine: Machine, rotated: tuple[str, str]
) -> None:
    key, old = rotated
    ended = machine.command.done("keys", "rotate", key, "--overlap", "90m", "--reason", "yearly")
    assert SECRET.fullmatch(ended.stdout.strip())
    assert "The old secret works until 20" in ended.stderr
    assert [status_of(portal, secret) for secret in (old, ended.stdout.strip())] == [200, 200]
    assert "active, being rotated" in machine.command.done("keys", "show", key).stdout
    refused = machine.command("keys", "rotate", key)
    assert (refused.returncode, "A rotation of this key is under way." in refused.stderr) == (1, True)
    assert len(machine.command.json("keys", "end-overlap", key)["secrets"]) == 1
    assert status_of(portal, old) == 401


def test_a_command_gets_the_secret_in_a_private_file_and_then_the_old_one_ends(
    portal: Portal, machine: Machine, rotated: tuple[str, str]
) -> None:
    key, old = rotated
    program = script(machine, HAND_OVER)
    ended = machine.command.done("keys", "rotate", key, "--exec", f"{program} {{}} 'two words' $HOME;", "--json")
    folder = machine.command.folder
    secret = (folder / "taken").read_text()
    assert (SECRET.fullmatch(secret) is not None, status_of(portal, secret), status_of(portal, old)) == (True, 200, 401)
    assert (folder / "taken.mode").read_text().split() == ["600", "700"]
    path = (folder / "taken.path").read_text().strip()
    assert not Path(path).parent.exists()
    assert (folder / "taken.words").read_text() == f"/bin/sh {program} {path} two words $HOME; "
    assert len(json.loads(ended.stdout)["secrets"]) == 1
    assert "said" in ended.stderr
    assert secret not in ended.stdout + ended.stderr


def test_if_the_command_fails_both_secrets_work_and_the_next_try_has_the_same_one(
    portal: Portal, machine: Machine, rotated: tuple[str, str]
) -> None:
    key, old = rotated
    program = script(machine, HAND_OVER + "exit 7\n")
    failed = machine.command("keys", "rotate", key, "--exec", f"{program} {{}}")
    assert failed.returncode == 5
    assert "failed with status 7, so the overlap goes on" in failed.stderr
    folder = machine.command.folder
    first = (folder / "taken").read_text()
    assert not Path((folder / "taken.path").read_text().strip()).exists()
    assert [status_of(portal, secret) for secret in (old, first)] == [200, 200]
    script(machine, HAND_OVER)
    again = re.search(
        r"^  keyportal (keys rotate key_\w+) --exec '(.+)' --idempotency-key (\S+)$", failed.stderr, re.MULTILINE
    )
    assert again
    machine.command.done(*again[1].split(), "--exec", again[2], "--idempotency-key", again[3])
    assert (folder / "taken").read_text() == first
    assert [status_of(portal, secret) for secret in (old, first)] == [401, 200]


def test_a_command_that_can_not_start_is_a_failure_too(machine: Machine, rotated: tuple[str, str]) -> None:
    failed = machine.command("keys", "rotate", rotated[0], "--exec", "/no/such/program {}")
    assert (failed.returncode, "could not be started (No such file or directory)" in failed.stderr) == (5, True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_it_the_file_is_removed(
    portal: Portal, machine: Machine, rotated: tuple[str, str], signum: signal.Signals
) -> None:
    folder = machine.command.folder
    program = script(machine, "#!/bin/sh\necho $1 > begun.new; mv begun.new begun; exec tail -f /dev/null\n")
    process = machine.command.begin("keys", "rotate", rotated[0], "--exec", f"{program} {{}}", start_new_session=True)
    wait_until((folder / "begun").exists)
    path = Path((folder / "begun").read_text().strip())
    assert path.exists()
    process.send_signal(signum)
    try:
        said = process.communicate(timeout=DEADLINE)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started, if it left that alone
    assert (process.returncode, path.exists(), path.parent.exists()) == (130, False, False)
    assert "The overlap goes on: both secrets work." in said
    assert "Interrupted." in said
    assert status_of(portal, rotated[1]) == 200


def test_what_can_not_work_is_refused_before_anything_changes(machine: Machine, rotated: tuple[str, str]) -> None:
    for wrong in (["cp"], ["cp secret"], ["{}"], ["'cp {}"], ["cp {}", "--overlap", "0"]):
        assert machine.command("keys", "rotate", rotated[0], "--exec", *wrong).returncode == 2
    assert len(machine.command.json("keys", "show", rotated[0])["secrets"]) == 1


def test_a_log_in_goes_on_with_the_new_secret_of_its_own_key(portal: Portal, developer: str, command: Command) -> None:
    key, old = portal.make_key(developer, *MANAGER)
    command.done("login", "--key", "--portal", portal.url, stdin=old)
    assert "the log-in uses its new secret now" in command.done("keys", "rotate", key, "--overlap", "0").stderr
    assert status_of(portal, old) == 401
    assert command.json("whoami")["id"] == key


def test_the_same_rotation_again_gives_the_same_secret(machine: Machine, rotated: tuple[str, str]) -> None:
    once = ("keys", "rotate", rotated[0], "--idempotency-key", "rotate-1")
    assert machine.command.done(*once).stdout == machine.command.done(*once).stdout
    other = machine.command(*once, "--overlap", "1h")
    assert (other.returncode, "This --idempotency-key was sent with another command" in other.stderr) == (1, True)
