"""The story that the client's README tells, word for word: installed by pip, against a portal."""

import re
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clients.command import NO_KEYRING, PASSWORD, Command
from tests.clients.conftest import MANAGER
from tests.clients.installed import PACKAGE, build_wheel, empty_environment
from tests.portal import Portal

pytestmark = pytest.mark.once
README = (PACKAGE / "README.md").read_text()


def blocks(language: str, portal: Portal) -> list[str]:
    """Return what the README has in a language. The portal is an API behind itself, too.

    What needs a framework is run in tests/clients/frameworks/.
    """
    before, _, frameworks = README.partition("\n## Protect your API\n")
    text = before + frameworks.partition("\n## ")[2]
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for said, meant in (("keys.example.com", ""), ("api.example.com/reports", "/api/v1/me"), ("api.example.com", "")):
        found = [block.replace(f"https://{said}", f"{portal.url}{meant}") for block in found]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheels"))


def test_the_story_is_true(portal: Portal, wheel: Path, tmp_path: Path) -> None:
    portal.forget_guesses()
    portal.make_developer("you@example.com")
    portal.shell("Scope.objects.get_or_create(name='reports:read', defaults={'description': 'Read reports'})")
    machine_key, machine = portal.make_key("you@example.com", *MANAGER, "--scope", "reports:read", name="machine")
    (tmp_path / "key.secret").write_text(machine)
    shell = Command(tmp_path, program=("bash", "-eu"), KEYPORTAL_CONFIG_DIR=str(tmp_path / "config"))
    shell.environment = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHON_KEYRING_BACKEND": NO_KEYRING,
        "KEYPORTAL_CONFIG_DIR": str(tmp_path / "config"),
        **empty_environment(tmp_path / "venv", wheel.parent),
    }
    (tmp_path / "story.sh").write_text("\n".join(blocks("sh", portal)))
    answers = {"Password: ": f"{PASSWORD}\n", "[y/N]": "y\n"}
    status, shown = shell.on_terminal("story.sh", answers=answers, columns=120)
    assert status == 0, shown
    assert '"name":"Billing server"' in shown
    for said in (
        "Logged in to",
        "Created key_",
        "The old secret works until",
        "The command succeeded, and the old secret has ended.",
        "Paused until",
        "Key rotated",
        "Revoked key_",
        "Logged out of",
        "with the key key_",
    ):
        assert said in shown, shown
    secret = tmp_path / "billing.secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert portal.get("/api/v1/me", Authorization=f"Bearer {secret.read_text()}").status == 401
    assert secret.read_text() not in shown

    of_python = blocks("python", portal)
    (tmp_path / "story.py").write_text("\n".join(of_python))
    [service] = (block for block in of_python if "def handle(" in block)
    (tmp_path / "service.py").write_text(service)
    keys = {"KEYPORTAL_KEY": machine, "API_KEY": machine}
    python = Command(tmp_path, portal.url, program=(str(tmp_path / "venv/bin/python"),), **keys)
    del python.environment["PYTHONPATH"]
    *of_calls, made = python.done("story.py").stdout.splitlines()
    assert [f"'id': '{machine_key}'" in line for line in of_calls] == [True, True]
    assert made.startswith("key_")


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "keyportal_client/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "keyportal_client",
        f"{'-'.join(wheel.name.split('-')[:2])}.dist-info",
    }
    assert any(name.endswith("/LICENSE") for name in names)


def test_without_the_extra_the_command_says_what_it_needs(tmp_path: Path) -> None:
    bare = Command(tmp_path, program=(sys.executable, "-S", "-m", "keyportal_client.cli"))  # without installed packages
    ended = bare("whoami")
    assert ended.returncode == 1
    assert ended.stderr == "The command keyportal needs more packages: pip install 'keyportal-client[cli]'\n"
