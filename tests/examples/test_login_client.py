"""The command-line client: log in, call, refresh, sign out."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE

PASSWORD = "correct horse battery staple"
Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.once


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def run(portal: Portal, store: Path) -> Run:
    """Run the example as a user would."""

    def client(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "examples/login_client.py", portal.url, *arguments],
            cwd=ROOT,
            env={"LOGIN_CLIENT_STORE": str(store)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return client


def stored_tokens(store: Path) -> dict[str, Any]:
    tokens: dict[str, Any] = json.loads(store.read_text())
    return tokens


def test_it_stays_signed_in_until_it_signs_out(portal: Portal, run: Run, store: Path) -> None:
    owner = portal.make_developer("cli@example.com")
    assert "Log in first" in run("get", "/api/v1/me").stderr
    run("login", "cli@example.com", stdin=PASSWORD + "\n").check_returncode()
    assert store.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in store.read_text()
    assert json.loads(run("get", "/api/v1/me").stdout)["owner"] == owner

    before = stored_tokens(store)
    store.write_text(json.dumps({**before, "good_until": time.time()}))
    assert json.loads(run("get", "/api/v1/me").stdout)["owner"] == owner
    after = stored_tokens(store)
    assert after["refresh_token"] != before["refresh_token"]

    run("logout").check_returncode()
    assert stored_tokens(store) == {}
    assert portal.get("/api/v1/me", Authorization=f"Bearer {after['access_token']}").status == 401


def test_when_it_was_signed_out_elsewhere_it_says_so(portal: Portal, run: Run, store: Path) -> None:
    portal.make_developer("cli-ended@example.com")
    run("login", "cli-ended@example.com", stdin=PASSWORD + "\n").check_returncode()
    tokens = stored_tokens(store)
    portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    store.write_text(json.dumps({**tokens, "good_until": 0}))
    ended = run("get", "/api/v1/me")
    assert ended.returncode == 1
    assert "You were signed out" in ended.stderr
    assert stored_tokens(store) == {}
