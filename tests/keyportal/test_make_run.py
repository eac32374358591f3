"""`make run` in a copy of the project: a working portal, fresh secrets once, and a second start that keeps them."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.keyportal.test_private_files import open_to_others
from tests.portal import Portal
from tests.portal_user import PortalUser
from tests.project_copy import copy_project
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
ACCOUNT = re.compile(r"^\s+(?:operator|developer)\s+(\S+@\S+)\s+(\S{20})$", re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project as a clone has it, in a folder with all that a path or an address can trip over."""
    return copy_project(tmp_path / "c# x?y %41 ü" / "project")


@contextmanager
def make_run(project: Path, printed: Path) -> Iterator[Portal]:
    """Yield the portal that `make run` started; end it as Ctrl-C does."""
    portal = Portal(project, f"sqlite:///{quote(str(project / 'var/keyportal.sqlite3'))}")
    ours = ("KEYPORTAL_", "DJANGO_", "DATABASE_", "PYTEST_", "COV_", "MAKE", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with printed.open("wb") as out:
        process = subprocess.Popen(
            ["make", "run", f"PORT={portal.port}"],
            cwd=project,
            env=environment | {"KEYPORTAL_WORKERS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            umask=0,
        )

    def answers() -> bool:
        assert process.poll() is None, printed.read_text()
        return portal.answers()

    try:
        wait_until(answers, otherwise=printed.read_text)
        yield portal
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=DEADLINE)


@pytest.mark.security("A-12")
@pytest.mark.security("R-25")
@pytest.mark.finding("H12")
@pytest.mark.finding("H27")
@pytest.mark.finding("H33")
def test_the_first_start_makes_accounts_and_secrets_and_the_second_keeps_them(project: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with make_run(project, first) as portal:
        accounts = dict(
            re.findall(r"^\s+(?:operator|developer)\s+(\S+@\S+)\s+(\S{20})$", first.read_text(), re.MULTILINE)
        )
        assert len(set(accounts.values())) == 2
        assert portal.url in first.read_text()
        for email, password in accounts.items():
            portal_user = PortalUser(portal, email, password, make=False)
            assert "No keys yet" in portal_user.get("/keys/")
        secrets = (project / ".env").read_bytes()
        assert open_to_others(project / ".env", project / "var") == []
        assert "keyportal warning" not in first.read_text()
    for path in (project / ".env", project / "var", *(project / "var").rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)  # as an earlier version left it
    with make_run(project, second) as portal:
        assert not re.search("|".join(map(re.escape, accounts.values())), second.read_text())
        for email, password in accounts.items():
            assert "No keys yet" in PortalUser(portal, email, password, make=False).get("/keys/")
        assert open_to_others(project / ".env", project / "var") == []
    assert (project / ".env").read_bytes() == secrets


def test_a_port_that_is_taken_is_said_in_a_sentence(project: Path, portal: Portal) -> None:
    taken = subprocess.run(
        ["make", "run", f"PORT={portal.port}"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert taken.returncode != 0
    assert f"Port {portal.port} is already in use" in taken.stderr
