"""`keyportal login` and `logout`: what is kept where, and what ends."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.clients.command import KEYRINGS, PASSWORD, Command
from tests.clients.conftest import MANAGER
from tests.parallel import all_at_once
from tests.portal import Portal

pytestmark = pytest.mark.once
NO_KEYRING_SAID = "keyring is not available"


def secrets_of(command: Command) -> dict[str, Any]:
    """Return the secrets of the only log-in, which are in the file."""
    [entry] = json.loads(command.logins.read_text())["logins"].values()
    secrets: dict[str, Any] = json.loads(entry["secret"])
    return secrets


def write_secrets(command: Command, **changed: Any) -> None:
    held = json.loads(command.logins.read_text())
    [portal] = held["logins"]
    held["logins"][portal]["secret"] = json.dumps({**secrets_of(command), **changed})
    command.logins.write_text(json.dumps(held))


def status_of(portal: Portal, credential: str) -> int:
    return portal.get("/api/v1/me", Authorization=f"Bearer {credential}").status


def families(portal: Portal, email: str) -> str:
    """Return how many log-ins there were, and how many of them go on."""
    mine = f"TokenFamily.objects.filter(user__email='{email}')"
    return portal.shell(f"print({mine}.count(), {mine}.filter(ended_at=None).count())")


def test_without_a_keyring_the_log_in_is_in_a_private_file_and_this_is_said_once(
    portal: Portal, developer: str, command: Command
) -> None:
    assert command("whoami").returncode == 3
    logged_in = command.log_in(portal.url, developer)
    assert NO_KEYRING_SAID in logged_in.stderr
    assert logged_in.stdout == ""
    assert command.logins.stat().st_mode & 0o777 == 0o600
    assert command.logins.parent.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in command.logins.read_text()
    who = command.done("whoami")
    assert developer in who.stdout
    assert who.stderr == ""
    assert command.json("whoami")["scopes"] == ["keys:read", "keys:write"]


def test_a_log_in_is_in_the_keyring_and_ends_at_the_portal(portal: Portal, developer: str, tmp_path: Path) -> None:
    ring = tmp_path / "ring.json"
    command = Command(tmp_path, PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.in_a_file.Keyring", KEYRING_FILE=str(ring))
    said = command.log_in(portal.url, developer).stderr
    assert NO_KEYRING_SAID not in said
    [held] = json.loads(ring.read_text()).values()
    access = json.loads(held)["access_token"]
    assert access not in command.logins.read_text()
    assert status_of(portal, access) == 200
    command.done("keys", "list")
    command.done("logout")
    assert json.loads(ring.read_text()) == {}
    assert status_of(portal, access) == 401
    assert families(portal, developer) == "1 0"
    assert command("keys", "list").returncode == 3
    assert command.done("logout").stderr == "You are not logged in.\n"


@pytest.mark.parametrize("backend", ["forgetful", "hanging", "missing"])
def test_a_keyring_that_does_not_do_its_work_is_replaced_by_the_file(
    portal: Portal, developer: str, command: Command, backend: str
) -> None:
    broken = command.with_environment(PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.{backend}.Keyring")
    assert NO_KEYRING_SAID in broken.log_in(portal.url, developer).stderr
    assert broken.done("keys", "list").stderr.startswith("You have no keys")


def test_a_keyring_that_fell_silent_is_said_and_not_waited_for_ever(
    portal: Portal, developer: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring.json"
    command = Command(tmp_path, PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.in_a_file.Keyring", KEYRING_FILE=str(ring))
    command.log_in(portal.url, developer)
    silent = command.with_environment(PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.hanging.Keyring")("keys", "list")
    assert silent.returncode == 3
    assert "keyring, which has your log-in, does not answer" in silent.stderr
    lost = command.with_environment(PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.forgetful.Keyring")("keys", "list")
    assert (lost.returncode, "keyring does not have your log-in any more" in lost.stderr) == (3, True)
    out = command.with_environment(PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.forgetful.Keyring")("logout")
    assert (out.returncode, out.stderr.startswith("Error: The stored log-in can't be read. The log-in is")) == (3, True)


def test_an_access_token_is_refreshed_shortly_before_its_end(portal: Portal, developer: str, command: Command) -> None:
    command.log_in(portal.url, developer)
    before = secrets_of(command)
    command.done("keys", "list")
    assert secrets_of(command) == before
    write_secrets(command, good_until=time.time() + 20)
    command.done("keys", "list")
    after = secrets_of(command)
    assert after["refresh_token"] != before["refresh_token"]
    assert after["good_until"] > before["good_until"]
    assert command.logins.stat().st_mode & 0o777 == 0o600


def test_a_log_in_stays_where_it_is(portal: Portal, developer: str, command: Command, tmp_path: Path) -> None:
    """Two copies would be of two ages, and the older one ends the log-in."""
    command.log_in(portal.url, developer)
    write_secrets(command, good_until=0)
    ring = tmp_path / "ring.json"
    back = command.with_environment(PYTHON_KEYRING_BACKEND=f"{KEYRINGS}.in_a_file.Keyring", KEYRING_FILE=str(ring))
    assert NO_KEYRING_SAID not in back.done("keys", "list").stderr
    assert secrets_of(command)["good_until"] > 0
    assert not ring.exists()


def test_processes_that_refresh_at_once_spend_one_token(portal: Portal, developer: str, command: Command) -> None:
    command.log_in(portal.url, developer)
    write_secrets(command, good_until=0)
    ended = all_at_once(4, lambda _: command("keys", "list"))
    assert [one.returncode for one in ended] == [0, 0, 0, 0], [one.stderr for one in ended]
    assert portal.shell(f"print(RefreshToken.objects.filter(family__user__email='{developer}').count())") == "2"
    assert families(portal, developer) == "1 1"


def test_a_log_in_that_has_ended_says_how_to_begin_another(portal: Portal, developer: str, command: Command) -> None:
    command.log_in(portal.url, developer)
    portal.request(
        "DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {secrets_of(command)['access_token']}"}
    )
    ended = command("keys", "list")
    assert (ended.returncode, "Log in again: keyportal login" in ended.stderr) == (3, True)
    write_secrets(command, good_until=0)
    ended = command("keys", "list")
    assert (ended.returncode, "has ended. Log in again: keyportal login" in ended.stderr) == (3, True)
    assert json.loads(command.logins.read_text())["logins"] == {}  # a spent token is never sent twice


def test_the_next_log_in_ends_the_one_before(portal: Portal, developer: str, command: Command) -> None:
    command.log_in(portal.url, developer)
    command.log_in(portal.url, developer)
    assert families(portal, developer) == "2 1"


def test_a_key_that_was_logged_in_with_is_forgotten_and_not_revoked(
    portal: Portal, developer: str, command: Command
) -> None:
    key, secret = portal.make_key(developer, *MANAGER)
    logged_in = command.done("login", "--key", "--portal", portal.url, stdin=f"{secret}\n")
    assert key in logged_in.stderr
    assert command.json("whoami")["id"] == key
    assert "goes on working" in command.done("logout").stderr
    assert secret not in command.logins.read_text()
    assert status_of(portal, secret) == 200


def test_a_key_that_can_not_manage_keys_is_told_so(portal: Portal, developer: str, command: Command) -> None:
    _, secret = portal.make_key(developer, "--scope", "keys:read")
    said = command.done("login", "--key", "--portal", portal.url, stdin=secret).stderr
    assert "does not have keys:write" in said
    refused = command("keys", "create", "--name", "x")
    assert (refused.returncode, "lacks a required scope: keys:write." in refused.stderr) == (1, True)


def test_an_account_with_a_second_factor_is_shown_the_way(portal: Portal, developer: str, command: Command) -> None:
    portal.shell(
        "from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret; "
        f"TOTP.activate(User.objects.get(email='{developer}'), generate_totp_secret())"
    )
    refused = command("login", "--portal", portal.url, "--email", developer, "--password-stdin", stdin=PASSWORD)
    assert refused.returncode == 3
    assert f"{portal.url}/keys/new/?name=keyportal+on+" in refused.stderr
    assert "&scope=keys:read&scope=keys:write\n" in refused.stderr
    assert f"keyportal login --key --portal {portal.url}" in refused.stderr


def test_a_wrong_password_is_refused_and_nothing_kept(portal: Portal, developer: str, command: Command) -> None:
    refused = command("login", "--portal", portal.url, "--email", developer, "--password-stdin", stdin="wrong-password")
    assert refused.returncode == 3
    assert refused.stderr == "Error: The e-mail address or the password is wrong.\n"
    assert not command.logins.exists()


def test_a_password_is_typed_without_being_shown(portal: Portal, developer: str, command: Command) -> None:
    answers = {"E-mail": f"{developer}\n", "Password": f"{PASSWORD}\n"}
    status, shown = command.on_terminal("login", "--portal", portal.url, answers=answers)
    assert (status, PASSWORD in shown) == (0, False)
    assert f"as {developer}" in shown
    assert "Logging in to" not in shown


def test_a_portal_that_was_not_named_is_named_before_a_password_is_asked_for(
    portal: Portal, developer: str, command: Command
) -> None:
    command = command.with_environment(KEYPORTAL_PORTAL=portal.url)
    answers = {"E-mail": f"{developer}\n", "Password": f"{PASSWORD}\n"}
    status, shown = command.on_terminal("login", answers=answers)
    assert status == 0
    assert shown.index(f"Logging in to {portal.url}.") < shown.index("E-mail")


def test_a_key_that_the_portal_does_not_know_is_no_log_in(portal: Portal, command: Command) -> None:
    refused = command("login", "--key", "--portal", portal.url, stdin="kp_live_0123456789abcdef")
    assert (refused.returncode, "This credential is unknown." in refused.stderr) == (3, True)
    assert "Log in again" not in refused.stderr
    assert not command.logins.exists()


def test_an_access_token_is_said_to_be_renewed_and_a_key_to_expire(
    portal: Portal, developer: str, command: Command
) -> None:
    command.log_in(portal.url, developer)
    shown = command.done("whoami").stdout
    assert re.search(r"^Access token  until 20.* UTC, then renewed automatically$", shown, re.MULTILINE)
    assert "Expires" not in shown
    _, secret = portal.make_key(developer, *MANAGER)
    machine = command.with_environment(KEYPORTAL_KEY=secret, KEYPORTAL_PORTAL=portal.url)
    assert re.search(r"^Expires +never$", machine.done("whoami").stdout, re.MULTILINE)


def test_without_a_terminal_nothing_is_asked(portal: Portal, command: Command) -> None:
    for arguments, said in (
        ((), "--portal"),
        (("--portal", portal.url), "--email"),
        (("--portal", portal.url, "--email", "a@example.com"), "--password-stdin"),
        (("--portal", portal.url, "--email", "a@example.com", "--password-stdin"), "Standard input is empty"),
        (("--portal", portal.url, "--key"), "Standard input is empty"),
        (("--portal", portal.url, "--key", "--email", "a@example.com"), "either --key"),
    ):
        ended = command("login", *arguments)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_a_log_in_is_sent_to_its_own_portal_only(portal: Portal, developer: str, command: Command) -> None:
    command.log_in(portal.url, developer)
    elsewhere = command.with_environment(KEYPORTAL_PORTAL=f"http://localhost:{portal.port}")("keys", "list")
    assert (elsewhere.returncode, f"not logged in to http://localhost:{portal.port}" in elsewhere.stderr) == (3, True)
    alone = command.with_environment(KEYPORTAL_KEY="kp_live_0123456789abcdef")("keys", "list")
    assert (alone.returncode, "Set KEYPORTAL_PORTAL too" in alone.stderr) == (2, True)


def test_the_environment_comes_before_the_log_in(portal: Portal, developer: str, command: Command) -> None:
    key, secret = portal.make_key(developer, *MANAGER)
    machine = command.with_environment(KEYPORTAL_KEY=secret, KEYPORTAL_PORTAL=portal.url)
    assert "KEYPORTAL_KEY is set" in machine.log_in(portal.url, developer).stderr
    assert machine.json("whoami")["id"] == key
    portal.revoke_key(key)
    refused = machine("keys", "list")
    assert refused.returncode == 3
    assert refused.stderr.startswith("Error: The portal refuses the key in KEYPORTAL_KEY: This credential was revoked.")


def test_a_damaged_file_is_said(command: Command) -> None:
    command.logins.parent.mkdir()
    for damage in ("{", "[]", '{"portal": "", "logins": {"a": 5}}', '{"portal": "", "logins": []}'):
        command.logins.write_text(damage)
        ended = command("keys", "list")
        assert (ended.returncode, "is damaged" in ended.stderr) == (1, True), damage
