"""The plugin in somebody else's project: the service and the tests of the README, and no other plugin."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once
PLUGIN = "keyportal_client.testing.plugin"
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "clients/python/README.md").read_text(), re.MULTILINE | re.DOTALL)
[SERVICE] = (block for block in BLOCKS if "def handle(" in block)
[TESTS] = (block for block in BLOCKS if "def test_" in block)
MORE = """
import asyncio
import os

from keyportal_client import AsyncVerifier, CredentialRefusedError

verifier = AsyncVerifier()


def test_also_asynchronously(api_key):
    async def code(header):
        try:
            await verifier.authenticate(header, scopes=("reports:read",))
        except CredentialRefusedError as error:
            return error.refusal.code
        return "ok"

    async def ask():
        key = api_key(scopes=["reports:read"])
        found = [await code(key.header)]
        key.expire()
        return [*found, await code(key.header)]

    assert asyncio.run(ask()) == ["ok", "expired"]


def test_without_the_fixture_nobody_answers():
    assert status({"Authorization": "Bearer " + os.environ["KEYPORTAL_KEY"]}) == 503
"""


def run_tests(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of somebody's project."""
    (folder / "service.py").write_text(SERVICE)
    (folder / "test_service.py").write_text(TESTS + MORE)
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'clients/python'}:{folder}"}
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", PLUGIN, *options]
    return subprocess.run(
        command,
        cwd=folder,
        env={**path, **alone, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def test_a_service_that_makes_its_verifier_at_import_is_tested(tmp_path: Path) -> None:
    ended = run_tests(tmp_path)
    assert "3 passed" in ended.stdout, ended.stdout


def test_a_portal_that_the_environment_names_is_not_asked(tmp_path: Path) -> None:
    """Nothing goes to it, neither the key nor a test's credentials: there is no such host, and no time for it."""
    named = {"KEYPORTAL_PORTAL": "https://keys.example.invalid", "KEYPORTAL_KEY": "kp_live_of_production"}
    ended = run_tests(tmp_path, "-k", "reports or also", **named)
    assert "2 passed" in ended.stdout, ended.stdout
    assert "of_production" not in ended.stdout + ended.stderr


def test_the_package_brings_the_plugin() -> None:
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"keyportal": PLUGIN}


def test_loading_the_plugin_imports_no_library() -> None:
    code = f"import sys, {PLUGIN}; sys.exit(any(name in sys.modules for name in ('httpx', 'jwt', 'ssl')))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "clients/python", check=False, timeout=DEADLINE)
    assert ended.returncode == 0
