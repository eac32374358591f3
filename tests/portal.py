"""A portal as a user would start it: its own folder, database, port and secrets; gunicorn with two workers."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from keyportal.options import OPTIONS
from tests import processes
from tests.console import Console
from tests.folders import folder_of_this_process
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until
from vault.rings import new_entry
from vault.signing_keys import new_signing_jwk

FORM = "application/x-www-form-urlencoded"
FORGET_GUESSES = "AttemptWindow.objects.all().delete()"
"""For a portal's shell: who guessed before is a stranger again."""
WAITING = "print(PendingMessage.objects.filter(given_up_at=None).count())"
"""Likewise: how many messages the portal has yet to send."""
ROOT = processes.ROOT
SETTINGS = {name for option in OPTIONS for name in (option.name, f"{option.name}_FILE")}
"""What the shell that started the tests may have: no portal of theirs reads it."""


class Answer(NamedTuple):
    """What came back over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


@cache
def shared_folder() -> Path:
    """Give a folder for what all portals of a process share: static files, migrated databases. It goes with it."""
    return folder_of_this_process("keyportal-shared-")


@cache
def empty_file() -> Path:
    """Give a file without content, where a portal would look for its `.env`."""
    file = shared_folder() / "no.env"
    file.touch()
    return file


class Portal:
    """One portal's configuration, its commands and its server process."""

    threads = 8
    """Of each worker and kind."""
    python_path = str(ROOT / "tests" / "production")
    """What Python does first in each process. Benchmarks do without."""

    def __init__(self, folder: Path, database_url: str, *, host: str = "127.0.0.1", **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{host}:{self.port}"
        self.outbox = folder / "outbox"
        self.log = folder / "server.log"
        self.environment = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "KEYPORTAL_SEALING_KEYS": new_entry("s1"),
            "KEYPORTAL_INDEX_KEYS": new_entry("i1"),
            "KEYPORTAL_SIGNING_KEYS": json.dumps({"keys": [new_signing_jwk("ES256")]}),
            "KEYPORTAL_URL": self.url,
            "KEYPORTAL_LOCAL": "true",
            "KEYPORTAL_OUTBOX": str(self.outbox),
            "KEYPORTAL_STATIC_ROOT": str(shared_folder() / "static"),
            "KEYPORTAL_ENV_FILE": str(empty_file()),
            "DATABASE_URL": database_url,
            "KEYPORTAL_USAGE_FLUSH": "0.3",
            "KEYPORTAL_REQUEST_THREADS": str(self.threads),
            "KEYPORTAL_VERDICT_THREADS": str(self.threads),
            "KEYPORTAL_VERDICT_TIMEOUT": "30",  # a busy machine is slow and right
            "KEYPORTAL_REQUEST_TIMEOUT": "60",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.console: Console | None = None

    @property
    def is_on_sqlite(self) -> bool:
        """Whether its database is SQLite; what the tests' own is says nothing of it."""
        return self.environment["DATABASE_URL"].startswith("sqlite")

    def command(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `manage.py …` under this configuration and give what it printed."""
        ended = processes.manage(arguments, self._whole_environment(), stdin)
        if check and ended.returncode:
            error = subprocess.CalledProcessError(ended.returncode, arguments)
            error.add_note(ended.stderr)
            raise error
        return ended

    def start_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python manage.py …` from its very beginning; give what it printed, however it ended."""
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=DEADLINE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `manage.py …` and give its process, for what goes on beside it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._whole_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, workers: int = 2) -> Iterator["Portal"]:
        """Migrate what is empty, serve until the block is left; end the server by its process id."""
        if self._is_empty():
            self.command("migrate", "--verbosity=0")
        if not (shared_folder() / "static").exists():
            self.command("collectstatic", "--noinput", "--verbosity=0")
        self.start(workers)
        try:
            yield self
        finally:
            self.stop()

    def start(self, workers: int = 2) -> None:
        """Start the server and wait until it answers and every worker has started: before that a worker can't end."""
        written = self.log.stat().st_size if self.log.exists() else 0
        process = self.spawn(workers)

        def started() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the portal did not start:\n{self.log.read_text()}")
            return self._started_since(written) >= workers and self.answers()

        wait_until(started, otherwise=self.log.read_text)

    def _started_since(self, written: int) -> int:
        """Give how many workers have started since the log was so long."""
        return self.log.read_bytes()[written:].count(b"Started worker ")

    def spawn(self, workers: int = 2) -> subprocess.Popen[bytes]:
        """Start the server process and give it, whether or not it will answer."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.server(workers),
                cwd=ROOT,
                env=self._whole_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    def server(self, workers: int) -> list[str]:
        """Give gunicorn's command but for the application."""
        gunicorn = [str(Path(sys.executable).parent / "gunicorn"), "--config", "python:keyportal.gunicorn"]
        return [*gunicorn, *self.listens_at(), "--workers", str(workers)]

    def listens_at(self) -> list[str]:
        """Give gunicorn's options for where it listens."""
        return ["--bind", f"127.0.0.1:{self.port}"]

    def line(self) -> HTTPConnection:
        """Give a connection to the server that is not opened yet."""
        return HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def stop(self) -> None:
        """End the server, and the shell, whose settings may change until the next start."""
        console, self.console = self.console, None
        try:
            if console is not None:
                console.end()
        finally:
            if self.process is not None:
                self.process.terminate()
                self.process.wait(timeout=DEADLINE)
                self.process = None

    def answers(self) -> bool:
        """Tell whether the process answers at all."""
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> Answer:
        """GET a path."""
        return self.request("GET", path, headers=headers)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send one request and give the answer, whatever its status; redirects are not followed.

        Names of headers are sent as they are written, underscores and all.
        """
        sent = {"Connection": "close", **({} if body is None else {"Content-Type": FORM}), **(headers or {})}
        with closing(self.line()) as line:
            line.request(method, path, body, sent)
            answer = line.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())

    def send_raw(self, raw: bytes) -> bytes:
        """Send bytes as they are, for what no HTTP client would send; give all that came back."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)) as connection:
            connection.sendall(raw)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
            return bytes(received)

    def messages(self) -> list[str]:
        """Give every message, oldest first, as soon as all that was committed has been sent."""
        wait_until(lambda: self.shell(WAITING) == "0")
        files = sorted(self.outbox.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        texts = [text for path in files for text in path.read_text().split(f"\n{'-' * 79}\n")]
        return [text for text in texts if text.strip()]

    def confirmation_link(self, email: str) -> str:
        """Give the newest confirmation link that was sent to this address."""
        for message in reversed(self.messages()):
            found = re.search(r"http\S+/accounts/confirm-email/\S+", message.replace("=\n", ""))
            if found and f"To: {email}" in message:
                return found[0]
        raise AssertionError(f"no confirmation was sent to {email}")

    def shell(self, code: str) -> str:
        """Run lines of Python in the portal's shell, with every model at hand; give the last line that they printed."""
        lines = self._ask(code=code)["out"].strip().splitlines()
        return lines[-1] if lines else ""

    def manage(self, *command: str) -> str:
        """Run `manage.py …` in the portal's shell, without a start of its own; give what it printed."""
        return self._ask(command=list(command))["out"]

    def make_developer(self, email: str, password: str = "correct horse battery staple") -> str:
        """Make a confirmed developer by the command and give their id."""
        command = ["createdeveloper", email, "--confirmed", "--password-stdin"]
        return self._ask(command=command, stdin=password + "\n")["out"].strip()

    def make_key(self, email: str, *arguments: str, name: str = "a key") -> tuple[str, str]:
        """Make a key by the command and give its id and its secret."""
        made = self._ask(command=["createkey", email, "--name", name, *arguments])
        return made["err"].strip(), made["out"].strip()

    def revoke_key(self, key: str, reason: str = "test") -> None:
        """Revoke a key by the command."""
        self._ask(command=["revokekey", key, "--reason", reason])

    def forget_guesses(self) -> None:
        """Forget every count of tries and log-ins: all tests come from one address, and count together."""
        self.shell(FORGET_GUESSES)

    def _ask(self, **request: Any) -> dict[str, str]:
        """Have something done in the portal's shell, which is started at the first time. Raises what it raised."""
        if self.console is None:
            self.console = Console(self._whole_environment(), log=self.folder / "console.log")
        answer = self.console.ask(request)
        if answer["error"]:
            raise RuntimeError(answer["error"])
        return answer

    def _is_empty(self) -> bool:
        """Tell whether nobody has migrated the database."""
        url = self.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            return not Path(url.removeprefix("sqlite:///")).exists()
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,)

    def _whole_environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in SETTINGS and not name.startswith(("KEYPORTAL_", "DJANGO_"))
        }
        ours = {"DJANGO_SETTINGS_MODULE": "keyportal.settings", "PYTHONPATH": self.python_path}
        return {**inherited, **ours, **self.environment}
