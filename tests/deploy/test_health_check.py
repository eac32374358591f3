"""deploy/health-check, which asks a portal how it is, without curl."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import new_certificate
from tests.portal import ROOT, Portal
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once


def health_check(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "deploy/health-check"), *arguments]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert asked.stderr == ""
    return asked.returncode, asked.stdout


def test_a_portal_that_runs_and_is_ready(portal: Portal) -> None:
    address = f"127.0.0.1:{portal.port}"
    assert health_check(address) == (0, '200 {"status": "ok"}\n')
    status, said = health_check("--ready", address)
    assert (status, "ready" in said) == (0, True)


def test_no_portal() -> None:
    status, said = health_check(address := f"127.0.0.1:{free_port()}")
    assert status == 1
    assert said.startswith(f"no answer at {address}: ")


@pytest.fixture
def unmigrated(tmp_path: Path) -> Iterator[Portal]:
    """A portal that ends TLS itself and has an empty database."""
    certificate, key = new_certificate("127.0.0.1")
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    files = {f"KEYPORTAL_TLS_{name.upper()}": str(tmp_path / f"{name}.pem") for name in ("certificate", "key")}
    site = Portal(tmp_path, f"sqlite:///{tmp_path / 'empty.sqlite3'}", **files)
    site.environment |= {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": f"https://127.0.0.1:{site.port}"}
    site.spawn(workers=1)
    yield site
    site.stop()


def test_a_portal_that_runs_over_https_and_is_not_ready(unmigrated: Portal) -> None:
    address = f"127.0.0.1:{unmigrated.port}"
    wait_until(lambda: health_check(address)[0] == 0, otherwise=unmigrated.log.read_text)
    status, said = health_check("--ready", address)
    assert status == 1
    assert said.startswith("503 ")
