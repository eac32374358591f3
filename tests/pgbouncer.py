"""A PgBouncer of the test's own between a portal and its database."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until
from tests.with_postgres import Cluster


@contextmanager
def pgbouncer(cluster: Cluster, mode: str) -> Iterator[str]:
    """Start a PgBouncer, and yield the database's address through it; it pools by `session` or by `transaction`."""
    folder, port = Path(tempfile.mkdtemp(prefix="keyportal-pgbouncer-")), free_port()
    place = f"host=127.0.0.1 port={cluster.port} user=keyportal password={cluster.password}"
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\nkeyportal = {place}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nlogfile = {folder}/log\n"
        "ignore_startup_parameters = options\n"
    )
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        for path in (folder, folder / "pgbouncer.ini"):
            shutil.chown(path, user)
    command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q", str(folder / "pgbouncer.ini")]
    process = subprocess.Popen(command, user=user, cwd=folder, stderr=subprocess.DEVNULL)
    url = cluster.url.replace(f":{cluster.port}/", f":{port}/")
    try:
        _wait_for(url, process, folder)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE)
        shutil.rmtree(folder)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"PgBouncer did not start:\n{log()}")
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def log() -> str:
        return (folder / "log").read_text()

    wait_until(answers, otherwise=log)
