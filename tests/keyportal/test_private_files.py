"""What the portal writes is readable by its owner only: whatever the umask, and also what was there before."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from keyportal.local.private_files import OTHERS, make_private, make_tree_private, private_folder
from keyportal.metrics.worker_files import WorkerFiles
from tests.portal import ROOT, Portal
from tests.project_copy import copy_project
from tests.settings_reader import base
from tests.waiting import DEADLINE, wait_until

pytestmark = [pytest.mark.once, pytest.mark.finding("H33")]

LOCAL = {"KEYPORTAL_LOCAL": "true", "KEYPORTAL_URL": "http://127.0.0.1:8000"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(*tops: Path) -> list[str]:
    """Return what other users may read, write or enter, in and under these."""
    every = [path for top in tops for path in (top, *top.rglob("*")) if not path.is_symlink()]
    return [f"{path} {mode(path):o}" for path in every if mode(path) & OTHERS]


def manage(project: Path, *arguments: str, **environment: str) -> None:
    """Run `manage.py …` by hand, under a umask that leaves everything open."""
    given = {name: value for name, value in base().items() if name != "KEYPORTAL_ENV_FILE"} | environment
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(
        command, cwd=project, env={"PATH": os.environ["PATH"], **given}, umask=0, check=True, timeout=DEADLINE
    )


def an_open_project(tmp_path: Path) -> Path:
    """Make a copy of the project in which an earlier version has left everything open."""
    project = copy_project(tmp_path / "project")
    for name in ("outbox/1.log", "metrics/1.json", "metrics/lock", "static/a/b.css", "deep/er/any.txt", "server.log"):
        (project / "var" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "var" / name).write_text("{}")
    (project / ".env").write_text("# nothing\n")
    for path in (project / ".env", project / "var", *(project / "var").rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    return project


def test_in_local_mode_any_command_closes_what_was_there(tmp_path: Path) -> None:
    project = an_open_project(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody else's")
    elsewhere.chmod(0o644)
    (project / "var/link").symlink_to(elsewhere)
    manage(project, "check", **LOCAL)
    assert open_to_others(project / "var", project / ".env") == []
    assert mode(elsewhere) == 0o644


def test_in_local_mode_commands_write_nothing_that_others_can_read(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    (project / "var").mkdir()
    for command, made in (
        (("migrate", "--verbosity=0"), "keyportal.sqlite3"),
        (("collectstatic", "--noinput", "--verbosity=0"), "static/admin/css/base.css"),
        (("sendtestemail", "dev@example.com"), "outbox"),
    ):
        manage(project, *command, **LOCAL)
        assert (project / "var" / made).exists()
        assert open_to_others(project / "var") == []  # before the next command could close it


def test_an_outbox_elsewhere_is_closed_too(tmp_path: Path) -> None:
    project, outbox = copy_project(tmp_path / "project"), tmp_path / "outbox"
    outbox.mkdir(0o755)
    (outbox / "old.log").write_text("a message")
    manage(project, "sendtestemail", "dev@example.com", KEYPORTAL_OUTBOX=str(outbox), **LOCAL)
    assert len(list(outbox.iterdir())) == 2
    assert open_to_others(outbox) == []


def test_production_closes_its_database_and_its_metrics_and_leaves_static_files_open(tmp_path: Path) -> None:
    file, metrics, static, dump = (tmp_path / name for name in ("data.sqlite3", "metrics", "static", "dump.json"))
    metrics.mkdir()
    (metrics / "0123456789abcdef.json").write_text("{}")
    portal = Portal(
        tmp_path, f"sqlite:///{file}", KEYPORTAL_METRICS_DIR=str(metrics), KEYPORTAL_STATIC_ROOT=str(static)
    )
    portal.environment |= {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": f"https://127.0.0.1:{portal.port}"}
    portal.environment |= {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1", "KEYPORTAL_TRUSTED_PROXIES": "192.0.2.1"}
    before = os.umask(0)
    try:
        portal.start_command("migrate", "--verbosity=0").check_returncode()
        portal.start_command("collectstatic", "--noinput", "--verbosity=0").check_returncode()
        portal.start_command("dumpdata", "credentials", "--output", str(dump)).check_returncode()
        assert open_to_others(file, dump) == []
        for path in (file, metrics, metrics / "0123456789abcdef.json"):
            path.chmod(0o777 if path.is_dir() else 0o666)
        portal.start(workers=1)
        assert portal.get("/readyz").status == portal.get("/metrics").status == 200
        wait_until(lambda: len(list(metrics.glob("*.json"))) > 1)
        beside = [file.with_name(f"{file.name}{suffix}") for suffix in ("-wal", "-shm")]
        assert all(path.exists() for path in beside)
        assert open_to_others(file, *beside, metrics) == []
        assert mode(next(static.rglob("*.css"))) == 0o644
    finally:
        os.umask(before)
        portal.stop()


def test_a_metrics_file_is_never_open_for_a_moment(settings: Settings, tmp_path: Path) -> None:
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path / "metrics")
    settings.KEYPORTAL_METRICS_NETWORKS = ("127.0.0.1",)
    before = os.umask(0)
    try:
        WorkerFiles().write_snapshot()
    finally:
        os.umask(before)
    assert {path.name for path in (tmp_path / "metrics").iterdir()} > {"lock"}
    assert open_to_others(tmp_path / "metrics") == []


def test_a_database_behind_a_link_and_files_beside_it_are_closed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.sqlite3", tmp_path / "link.sqlite3"
    link.symlink_to(real)
    portal = Portal(tmp_path, f"sqlite:///{link}")
    script = "from django.db import connection as c; c.cursor().execute('CREATE TABLE t (x)'); import os; "
    script += f"print(*[oct(os.stat(n).st_mode & 0o777) for n in ('{real}', '{real}-wal', '{real}-shm')])"
    real.touch(mode=0o666)
    real.chmod(0o666)
    assert portal.command("shell", "-v", "0", "-c", script).stdout.split() == ["0o600"] * 3


def test_a_folder_that_holds_other_things_stays_open_and_our_files_in_it_do_not(tmp_path: Path) -> None:
    """An operator who names /tmp or /run must not find it closed."""
    tmp_path.chmod(0o755)
    (tmp_path / "ours.json").write_text("{}")
    (tmp_path / "theirs.sock").write_text("")
    private_folder(tmp_path, "*.json")
    assert (mode(tmp_path), mode(tmp_path / "ours.json"), mode(tmp_path / "theirs.sock")) == (0o755, 0o600, 0o644)
    (tmp_path / "theirs.sock").unlink()
    private_folder(tmp_path, "*.json")
    assert mode(tmp_path) == 0o700
    assert mode(private_folder(tmp_path / "deep/er", "*.json")) == 0o700


def test_what_is_not_there_or_not_ours_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_private(tmp_path / "missing")
    make_tree_private(tmp_path / "missing")
    assert caplog.messages == []
    make_private(Path("/proc/self/status"))
    assert caplog.messages == ["/proc/self/status is open to others, and that can't be changed: PermissionError"]


def write_env(file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what `make run` completes `.env` with."""
    return subprocess.run(
        [sys.executable, "deploy/local/write-env", str(file), "8000"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        umask=0,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


def test_write_env_leaves_no_file_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    (tmp_path / ".env.new").write_text("of a run that was broken off")
    (tmp_path / ".env.new").chmod(0o666)
    assert write_env(file).returncode == 0
    complete = file.read_text()
    assert (mode(file), list(tmp_path.iterdir())) == (0o600, [file])
    file.chmod(0o664)
    assert write_env(file).returncode == 0
    assert (mode(file), file.read_text()) == (0o600, complete)


def test_write_env_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    file, link = tmp_path / "kept/portal.env", tmp_path / ".env"
    link.symlink_to(file)
    assert write_env(link).returncode == 0
    assert link.is_symlink()
    assert mode(file) == 0o600
    assert "SECRET_KEY=" in file.read_text()


@pytest.mark.finding("H12")
def test_write_env_reads_the_file_as_the_portal_does(tmp_path: Path) -> None:
    """A secret behind `export` was not seen, and a fresh one written below it: the later one counts."""
    file = tmp_path / ".env"
    file.write_text("export SECRET_KEY=mine\n  KEYPORTAL_INDEX_KEYS=i1:mine\nKEYPORTAL_SEALING_KEYS_FILE=/x\n")
    assert write_env(file, KEYPORTAL_SIGNING_KEYS_FILE="/y").returncode == 0
    assert file.read_text().count("=") == 3
    file.write_text("SECRET_KEY=mine\npLaNtEd7\n")
    ended = write_env(file)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == ["The file .env must hold lines of NAME=value, and line 2 is not one"]
