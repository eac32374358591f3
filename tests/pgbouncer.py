"""A PgBouncer of the test's own between a portal and its database."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.portal import free_port
from tests.with_postgres import Cluster

START_SECONDS = 10


@contextmanager
def pgbouncer(cluster: Cluster, mode: str) -> Iterator[str]:
    """Give the database's address through a PgBouncer that pools by `session` or by `transaction`."""
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
        process.wait(timeout=10)
        shutil.rmtree(folder)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start:\n{(folder / 'log').read_text()}") from None
            time.sleep(0.05)
        else:
            return
