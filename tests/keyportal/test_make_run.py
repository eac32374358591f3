"""`make run` in a copy of the project: a working portal, fresh secrets once, and a second start that keeps them."""

import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.person import Person
from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
ACCOUNT = re.compile(r"^\s+(?:operator|developer)\s+(\S+@\S+)\s+(\S{20})$", re.MULTILINE)
NOT_COPIED = (".git", ".venv", "var", ".env", "__pycache__", ".*_cache", ".hypothesis", ".coverage*")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The project as a clone has it, with the packages that are installed already."""
    project = tmp_path / "project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (project / ".venv").symlink_to(ROOT / ".venv")
    return project


@contextmanager
def make_run(project: Path, printed: Path) -> Iterator[Portal]:
    """Give the portal that `make run` started; end it as Ctrl-C does."""
    portal = Portal(project, "")
    ours = ("KEYPORTAL_", "DJANGO_", "DATABASE_", "PYTEST_", "COV_", "MAKE", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with printed.open("wb") as out:
        process = subprocess.Popen(
            ["make", "run", f"PORT={portal.port}"],
            cwd=project,
            env=environment | {"GRANIAN_WORKERS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
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
def test_the_first_start_makes_accounts_and_secrets_and_the_second_keeps_them(copied: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with make_run(copied, first) as portal:
        accounts = dict(
            re.findall(r"^\s+(?:operator|developer)\s+(\S+@\S+)\s+(\S{20})$", first.read_text(), re.MULTILINE)
        )
        assert len(set(accounts.values())) == 2
        assert portal.url in first.read_text()
        for email, password in accounts.items():
            person = Person(portal, email, password, make=False)
            assert "No keys yet" in person.get("/keys/")
        secrets = (copied / ".env").read_bytes()
        assert stat.S_IMODE((copied / ".env").stat().st_mode) == 0o600
    with make_run(copied, second) as portal:
        assert not re.search("|".join(map(re.escape, accounts.values())), second.read_text())
        for email, password in accounts.items():
            assert "No keys yet" in Person(portal, email, password, make=False).get("/keys/")
    assert (copied / ".env").read_bytes() == secrets


def test_a_port_that_is_taken_is_said_in_a_sentence(copied: Path, portal: Portal) -> None:
    taken = subprocess.run(
        ["make", "run", f"PORT={portal.port}"],
        cwd=copied,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert taken.returncode != 0
    assert f"Something listens on port {portal.port} already" in taken.stderr
