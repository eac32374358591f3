"""`keyportal keys …` against a portal: what goes to standard output, and what does not."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.command import Command
from tests.clients.conftest import Machine
from tests.portal import Portal
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once
SECRET = re.compile(r"kp_(?:live|test)_[0-9A-Za-z]{49}")
RIGHT_TO_LEFT = "שלום"


def answer_of(portal: Portal, machine: Machine, path: str) -> Any:
    return json.loads(portal.get(f"/api/v1/{path}", Authorization=f"Bearer {machine.secret}").body)


def without_uses(value: Any) -> Any:
    """Return a JSON value without when something was last used: the portal writes that between two calls."""
    if isinstance(value, list):
        return [without_uses(item) for item in value]
    if isinstance(value, dict):
        return {name: without_uses(item) for name, item in value.items() if name != "last_used_at"}
    return value


def status_of(portal: Portal, credential: str) -> int:
    return portal.get("/api/v1/me", Authorization=f"Bearer {credential}").status


def make(machine: Machine, name: str = "backup", *arguments: str) -> tuple[str, str]:
    """Create a key by the command and return its id and its secret."""
    key = json.loads(machine.command.done("keys", "create", "--name", name, *arguments, "--json").stdout)
    return key["id"], key["secret"]


def test_the_secret_of_a_new_key_is_alone_on_standard_output(portal: Portal, machine: Machine) -> None:
    arguments = (
        "--scope",
        "keys:read",
        "--network",
        "192.0.2.0/24",
        "--expires",
        "2040-01-31",
        "--environment",
        "test",
    )
    made = machine.command.done("keys", "create", "--name", "backup", *arguments)
    assert re.fullmatch(SECRET.pattern + "\n", made.stdout)
    assert not SECRET.search(made.stderr)
    key = re.search(r"key_\w+", made.stderr)
    assert key
    held = answer_of(portal, machine, f"keys/{key[0]}")
    assert (held["scopes"], held["networks"], held["environment"]) == (["keys:read"], ["192.0.2.0/24"], "test")
    assert held["expires_at"] == "2040-01-31T23:59:59Z"


def test_a_secret_file_is_private_and_takes_the_place_of_another(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("former")
    file.chmod(0o644)
    made = machine.command.done("keys", "create", "--name", "backup", "--secret-file", str(file))
    assert made.stdout == ""
    assert SECRET.fullmatch(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    shown = machine.command.json("keys", "create", "--name", "backup", "--secret-file", str(file))
    assert "secret" not in shown
    assert SECRET.fullmatch(file.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("path", ["missing/secret", ".", "/dev/null"])
def test_without_a_place_for_the_secret_no_key_is_made(machine: Machine, path: str) -> None:
    refused = machine.command("keys", "create", "--name", "lost", "--secret-file", path)
    assert refused.returncode == 2
    assert machine.command.json("keys", "list", "--search", "lost")["items"] == []


def test_a_secret_that_nobody_took_can_be_had_again(machine: Machine) -> None:
    with Path("/dev/full").open("w") as full:
        process = machine.command.begin("keys", "create", "--name", "once", stdout=full)
        said = process.communicate(timeout=DEADLINE)[1]
    assert process.returncode == 1
    again = re.search(r"--idempotency-key (\S+)", said)
    assert again
    repeated = machine.command.done("keys", "create", "--name", "once", "--idempotency-key", again[1])
    assert SECRET.match(repeated.stdout)
    assert len(machine.command.json("keys", "list", "--search", "once")["items"]) == 1


def test_a_closed_pipe_is_one_sentence(machine: Machine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = machine.command.begin("keys", "list", "--json", stdout=writer)
    os.close(writer)
    assert process.communicate(timeout=DEADLINE)[1] == "Error: Standard output is closed or full.\n"
    assert process.returncode == 1


def test_json_is_what_the_api_answers(portal: Portal, machine: Machine) -> None:
    key, _ = make(machine)
    for arguments, path in (
        (("whoami",), "me"),
        (("scopes",), "scopes"),
        (("keys", "list"), "keys"),
        (("keys", "show", key), f"keys/{key}"),
        (("keys", "usage", key), f"keys/{key}/usage"),
        (("keys", "usage", key, "--by", "hour", "--days", "3"), f"keys/{key}/usage?by=hour&days=3"),
        (("keys", "events", key), f"keys/{key}/events"),
        (("keys", "events", key, "--all"), f"keys/{key}/events"),
    ):
        ended = machine.command.done(*arguments, "--json")
        said, answered = json.loads(ended.stdout), answer_of(portal, machine, path)
        assert (without_uses(said), ended.stderr) == (without_uses(answered), "")


def test_a_list_is_filtered_and_goes_on_to_its_end(portal: Portal, machine: Machine) -> None:
    portal.shell(
        "from apikeys.services import create_key; from audit.origin import Origin; "
        f"owner = User.objects.get(email='{machine.email}'); "
        "[create_key(owner=owner, name=f'many {n}', environment='test', origin=Origin.of_command('x')) "
        "for n in range(104)]"
    )
    page = machine.command("keys", "list", "--environment", "test")
    assert len(page.stdout.splitlines()) == 1 + 25
    assert "There are more keys" in page.stderr
    every = machine.command.json("keys", "list", "--all", "--search", "many")
    assert (len({key["id"] for key in every["items"]}), every["next"]) == (104, None)
    assert machine.command("keys", "list", "--state", "paused").stderr == "No key matches.\n"


def test_a_key_is_changed_as_it_is_named(machine: Machine) -> None:
    key, _ = make(machine, "before", "--scope", "keys:read", "--network", "192.0.2.1")
    edit = ("keys", "edit", key)
    assert machine.command.json(*edit, "--name", "after")["name"] == "after"
    assert machine.command.json(*edit, "--add-scope", "keys:write")["scopes"] == ["keys:read", "keys:write"]
    assert machine.command.json(*edit, "--remove-scope", "keys:read")["scopes"] == ["keys:write"]
    assert machine.command.json(*edit, "--scope", "keys:read")["scopes"] == ["keys:read"]
    changed = machine.command.json(*edit, "--no-scopes", "--no-networks", "--expires", "30d")
    assert (changed["scopes"], changed["networks"], changed["name"]) == ([], [], "after")
    assert machine.command.json(*edit, "--expires", "never")["expires_at"] is None
    for wrong in ((), ("--no-scopes", "--scope", "a"), ("--network", "192.0.2.1", "--no-networks")):
        assert machine.command(*edit, *wrong).returncode == 2


def test_a_key_is_paused_and_resumed(portal: Portal, machine: Machine) -> None:
    key, secret = make(machine)
    paused = machine.command.json("keys", "pause", key, "--reason", "incident", "--until", "2h")
    assert (paused["state"], paused["paused_reason"]) == ("paused", "incident")
    assert status_of(portal, secret) == 401
    assert "paused until 20" in machine.command.done("keys", "show", key).stdout
    assert machine.command.json("keys", "resume", key)["state"] == "active"
    assert status_of(portal, secret) == 200


def test_revoking_asks_on_a_terminal_and_needs_yes_elsewhere(portal: Portal, machine: Machine) -> None:
    key, secret = make(machine)
    portal.shell(
        "from credentials.usage.models import Usage; from django.utils import timezone; "
        f"Usage.objects.create(credential='{key}', hour=timezone.now().replace(minute=0, second=0, microsecond=0), "
        "entry_point='api', outcome='accepted', count=412)"
    )
    refused = machine.command("keys", "revoke", key)
    assert (refused.returncode, "add --yes" in refused.stderr) == (2, True)
    status, shown = machine.command.on_terminal("keys", "revoke", key, answers={"[y/N]": "\n"})
    assert (status, "412 calls in the last 24 hours" in shown, "Nothing was revoked" in shown) == (1, True, True)
    assert status_of(portal, secret) == 200
    status, shown = machine.command.on_terminal("keys", "revoke", key, answers={"[y/N]": "y\n"})
    assert status == 0
    assert status_of(portal, secret) == 401
    other, secret = make(machine)
    assert machine.command.done("keys", "revoke", other, "--yes", "--reason", "leaked", "--json").stdout == ""
    assert "revoked on" in machine.command.done("keys", "show", other).stdout
    assert status_of(portal, secret) == 401


def test_usage_and_history_are_shown(portal: Portal, machine: Machine) -> None:
    key, _ = make(machine)
    portal.shell(
        "from credentials.usage.models import Usage; from django.utils import timezone; "
        "hour = timezone.now().replace(minute=0, second=0, microsecond=0); "
        f"[Usage.objects.create(credential='{key}', hour=hour, entry_point='api', outcome=o, count=n) "
        "for o, n in (('accepted', 7), ('paused', 2), ('expired', 1))]"
    )
    _, line = machine.command.done("keys", "usage", key).stdout.splitlines()
    assert line.split("UTC")[1].split() == ["7", "3", "expired", "1,", "paused", "2"]
    assert "Key created" in machine.command.done("keys", "events", key).stdout


def test_the_history_says_what_changed_until_when_and_why(machine: Machine) -> None:
    key, _ = make(machine)
    machine.command.done("keys", "edit", key, "--name", "after", "--expires", "never", "--add-scope", "keys:read")
    machine.command.done("keys", "pause", key, "--reason", "an incident", "--until", "2040-01-31")
    machine.command.done("keys", "resume", key)
    machine.command.done("keys", "rotate", key, "--overlap", "1h", "--reason", "yearly")
    shown = machine.command.done("keys", "events", key).stdout.splitlines()
    assert len(shown) == 1 + 5
    assert re.search(r"Key rotated .* old secret works until 20\S+ \S+ UTC; “yearly”$", shown[1])
    assert shown[3].endswith("until 2040-01-31 23:59 UTC; “an incident”")
    assert re.search(r"changed: (expiry, )?name, scopes; allows more: (expiry, )?scopes$", shown[4])
    narrow = machine.command.on_terminal("keys", "events", key, columns=60)[1]
    assert "“an incident”" in narrow


def test_revoked_keys_are_listed_only_if_they_are_asked_for(portal: Portal, machine: Machine) -> None:
    key, _ = make(machine, "old one")
    other, _ = make(machine, "old two")
    machine.command.done("keys", "revoke", key, "--yes")
    listed = machine.command.done("keys", "list", "--search", "old")
    assert (key in listed.stdout, other in listed.stdout) == (False, True)
    assert listed.stderr == "1 revoked key is not shown. List revoked keys with --state revoked.\n"
    for options, ids in (
        ((), [other]),
        (("--state", "revoked"), [key]),
        (("--all",), [other, key]),
        (("--state", "active", "--all"), [other]),
    ):
        found = machine.command.done("keys", "list", "--search", "old", *options, "--json")
        assert ([one["id"] for one in json.loads(found.stdout)["items"]], found.stderr) == (ids, "")
    machine.command.done("keys", "revoke", other, "--yes")
    assert machine.command.done("keys", "list", "--search", "old").stderr.startswith("2 revoked keys are not shown.")


def test_the_secrets_of_a_key_that_is_refused_are_not_said_to_work(machine: Machine) -> None:
    key, _ = make(machine)
    assert "until the key ends" in machine.command.done("keys", "show", key).stdout
    machine.command.done("keys", "pause", key)
    assert "not while the key is paused" in machine.command.done("keys", "show", key).stdout
    machine.command.done("keys", "revoke", key, "--yes")
    shown = machine.command.done("keys", "show", key).stdout
    assert "until the key ends" not in shown
    assert "Rate limit   the portal's default\n" in shown


def test_a_name_only_shows_itself_on_a_terminal(portal: Portal, machine: Machine) -> None:
    hostile = "a\x1b[2J\x1b]0;pwned\x07\u202ereversed\u2028"
    names = {make(machine, f"name {number}")[0]: name for number, name in enumerate((hostile, RIGHT_TO_LEFT))}
    for key, name in names.items():  # as another program, or a version without rules for names, may have written it
        portal.shell(
            "from integrity.sealed import swap; "
            f"key = APIKey.objects.get(pk='{key}'); swap(key, {{'name': {name!r}}}, ignore_tampering=True)"
        )
    key = next(iter(names))
    shown = [
        machine.command.on_terminal("keys", "list", columns=200)[1],
        machine.command.on_terminal("keys", "show", key)[1],
        machine.command.on_terminal("keys", "resume", key)[1],
        machine.command.done("keys", "list").stdout,
    ]
    for text in shown:
        assert r"a\u001b[2J\u001b]0;pwned\u0007\u202ereversed\u2028" in text
        assert not set("\x07\u202e\u2028") & set(text)
    assert f"\u2068{RIGHT_TO_LEFT}\u2069" in shown[0]
    assert machine.command.done("keys", "list", "--json").stdout.isascii()


def test_a_table_fits_the_terminal_and_colour_is_for_terminals(machine: Machine) -> None:
    make(machine, "a name that is a good deal longer than a narrow terminal has room for", "--scope", "keys:read")
    for columns in (40, 80, 132):
        lines = machine.command.on_terminal("keys", "list", columns=columns)[1].splitlines()
        plain = [re.sub(r"\x1b\[\d+m", "", line) for line in lines]
        assert all(len(line) <= columns for line in plain), plain
        assert lines != plain
    assert "\x1b" not in machine.command.with_environment(NO_COLOR="1").on_terminal("keys", "list")[1]
    assert "\x1b" not in machine.command.done("keys", "list").stdout


def test_what_the_portal_refuses_is_said_about_the_option(machine: Machine) -> None:
    key, _ = make(machine)
    twice = ("--network", "192.0.2.0/24", "--network", "192.0.2.1")
    for arguments, said in (
        (("create", "--name", "x", "--scope", "no:scope"), "--scope: "),
        (("create", "--name", "x", "--network", "nowhere"), "--network nowhere: This isn't an address"),
        (("create", "--name", "x", *twice), "--network 192.0.2.1: This is within 192.0.2.0/24. Remove one"),
        (("create", "--name", "x\x07"), "--name: "),
        (("create", "--name", "x", "--expires", "2001-01-01"), "--expires: This expiry is in the past."),
        (("rotate", key, "--overlap", "1 year"), "--overlap: Send 0, or a number"),
        (("show", "key_0000000000000000000000"), "There is no key with this id, or it isn't yours."),
        (("resume", "key_0000000000000000000000"), "There is no key with this id, or it isn't yours."),
    ):
        refused = machine.command("keys", *arguments)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith(f"Error: {said}"), refused.stderr


def test_a_scope_that_is_not_in_the_catalogue_is_named(portal: Portal, developer: str, command: Command) -> None:
    """To a log-in: a key can't give another one what it lacks itself, whether or not there is such a scope."""
    command.log_in(portal.url, developer)
    key = command.json("keys", "create", "--name", "x", "--scope", "keys:read")["id"]
    for arguments, said in (
        (("edit", key, "--add-scope", "nosuch"), "--add-scope: nosuch is not in"),
        (("edit", key, "--scope", "keys:read", "--scope", "b", "--scope", "a"), "--scope: b and a are not in"),
        (("create", "--name", "x", "--scope", "no\x1b[2J"), r"--scope: no\u001b[2J is not in"),
        (("create", "--name", "x", "--scope", "kp_live_0123456789"), "--scope: kp_live_… is not in"),
    ):
        refused = command("keys", *arguments)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"Error: {said} the portal's catalogue of scopes.\n"


def test_what_is_typed_at_the_wrong_place_is_not_repeated(machine: Machine) -> None:
    for arguments in (
        ("keys", "show", machine.secret),
        ("login", "--key", machine.secret),
        ("keys", "list", "--state", machine.secret),
        ("keys", "create", "--name", "x", "--expires", machine.secret),
        ("keys", "rotate", machine.key, machine.secret),
    ):
        ended = machine.command(*arguments)
        assert ended.returncode == 2
        assert machine.secret[8:] not in ended.stdout + ended.stderr
    assert machine.command("keys", "create", "--name", "\udcff").returncode == 2


def test_no_command_without_its_help(machine: Machine) -> None:
    pages = ["", "login", "logout", "whoami", "scopes", "keys"]
    listed = machine.command.done("keys", "-h").stdout
    pages += [f"keys {name}" for name in re.findall(r"^  ([a-z-]+)  ", listed, re.MULTILINE)]
    assert len(pages) == 6 + 11
    helped = [machine.command.done(*page.split(), "--help").stdout for page in pages[::4]]
    assert all(page.startswith("Usage: keyportal") for page in helped)
    assert machine.command.done("--version").stdout == "keyportal 0.1.0\n"


def test_no_argument_of_a_process_and_no_log_holds_a_secret(portal: Portal, machine: Machine) -> None:
    _, secret = make(machine)
    assert secret not in portal.log.read_text()
    listed = subprocess.run(["ps", "-e", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert machine.secret not in listed
