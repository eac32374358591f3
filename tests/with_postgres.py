"""A PostgreSQL of the tests' own: `python -m tests.with_postgres pytest …`, or `with postgres_cluster() as cluster:`.

Its own data in a temporary folder, a free port, loopback only, not as root; ended by its process id.
"""

import base64
import hashlib
import hmac
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.certificates import new_certificate
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "128MB",
}


def binary(name: str) -> str:
    """Return the path of a program of the newest PostgreSQL on this machine. Raises RuntimeError if there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    found = str(debian[-1]) if debian else shutil.which(name)
    if found is None:
        raise RuntimeError("PostgreSQL's server programs are not on this machine")
    return found


def scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores of a password (RFC 5802), with one iteration where its default is 4,096.

    They are slow on purpose, for the client as for the server, at each of the many thousand connections of the tests.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations := 1)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    written = [base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server)]
    return f"SCRAM-SHA-256${iterations}:{written[0]}${written[1]}:{written[2]}"


class Cluster:
    """One server and its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for DATABASE_URL."""
        return f"postgres://keyportal:{self.password}@127.0.0.1:{self.port}/keyportal"

    def create(self) -> None:
        """Make the data folder and its superuser."""
        secret = self.folder / "password"
        secret.write_text(scram_verifier(self.password))
        if self.user:
            for path in (self.folder, secret):
                shutil.chown(path, self.user)
        options = ["--username=keyportal", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
        self._run([binary("initdb"), f"--pgdata={self.data}", *options, "--locale=C.UTF-8", "--no-sync"])

    def start(self) -> None:
        """Start the server and wait until it answers."""
        given = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        place = ["-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)]
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [binary("postgres"), *place, *given], stdout=log, stderr=log, user=self.user, cwd=self.folder
            )
        wait_until(self._answers, otherwise=(self.folder / "log").read_text)

    def encrypt(self) -> Path:
        """Take TLS only, from the next start on; return the certificate that vouches for it."""
        certificate, key = new_certificate("127.0.0.1")
        for name, text in (("server.crt", certificate), ("server.key", key)):
            (self.data / name).write_bytes(text)
            (self.data / name).chmod(0o600)
            if self.user:
                shutil.chown(self.data / name, self.user)
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")
        access = self.data / "pg_hba.conf"
        access.write_text(access.read_text().replace("host ", "hostssl "))
        trusted = self.folder / "trusted.crt"
        trusted.write_bytes(certificate)
        return trusted

    def stop(self) -> None:
        """End the server; sessions are cut off."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=DEADLINE)
            self.process = None

    def freeze(self) -> None:
        """Stop every process of the server where it stands: it takes what is sent, and says nothing."""
        self._signal(signal.SIGSTOP)  # first the one that could make another
        self._signal_children(signal.SIGSTOP)

    def hold_new_sessions(self) -> None:
        """Have nobody get a new session before it is thawed. Those that there are go on."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_children(signal.SIGCONT)
        self._signal(signal.SIGCONT)

    def make_database(self) -> None:
        """Make the database that the address names."""
        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE keyportal")

    def _signal(self, number: int) -> None:
        if self.process is None:
            raise RuntimeError("PostgreSQL is not running")
        self.process.send_signal(number)

    def _signal_children(self, number: int) -> None:
        if self.process is None:
            raise RuntimeError("PostgreSQL is not running")
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(int(pid), number)

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
        try:
            psycopg.connect(self._admin_url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _admin_url(self) -> str:
        return self.url.removesuffix("/keyportal") + "/postgres"

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, check=True, user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL)


@contextmanager
def postgres_cluster() -> Iterator[Cluster]:
    """Start a cluster with an empty database; afterwards nothing is left of it."""
    folder = Path(tempfile.mkdtemp(prefix="keyportal-postgres-"))
    cluster = Cluster(folder)
    try:
        cluster.create()
        cluster.start()
        cluster.make_database()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def main() -> int:
    """Run the command that the arguments name with DATABASE_URL set; return its exit code."""
    # A signal must end the server too: it becomes an exception, and the cluster is left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with postgres_cluster() as cluster:
        return subprocess.run(sys.argv[1:], env={**os.environ, "DATABASE_URL": cluster.url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
