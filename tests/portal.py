"""A portal as a user would start it: its own folder, database, port and secrets; gunicorn with two workers."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from tests import processes
from tests.console import Console
from tests.portal_configuration import PortalConfiguration, shared_folder
from tests.waiting import DEADLINE, wait_until

FORM = "application/x-www-form-urlencoded"
FORGET_GUESSES = "AttemptWindow.objects.all().delete()"
"""For a portal's shell: forget every count of guesses."""
WAITING = "print(PendingMessage.objects.filter(given_up_at=None).count())"
"""Likewise: how many messages the portal has yet to send."""
ROOT = processes.ROOT


class Answer(NamedTuple):
    """What came back over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


class Portal(PortalConfiguration):
    """One portal's commands and its server process."""

    process: subprocess.Popen[bytes] | processes.Forked | None = None
    console: Console | None = None

    def command(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `manage.py …` under this configuration and return what it printed."""
        ended = processes.manage(arguments, self._whole_environment(), stdin)
        if check and ended.returncode:
            error = subprocess.CalledProcessError(ended.returncode, arguments)
            error.add_note(ended.stderr)
            raise error
        return ended

    def start_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python manage.py …` from its very beginning; return what it printed, however it ended."""
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=DEADLINE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `manage.py …` and return its process, for what goes on beside it."""
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
        """Return how many workers have started since the log was so long."""
        return self.log.read_bytes()[written:].count(b"Started worker ")

    def spawn(self, workers: int = 2) -> "subprocess.Popen[bytes] | processes.Forked":
        """Start the server process and return it, whether or not it will answer."""
        if not self.python_path:
            return self.spawn_anew(workers)
        self.process = processes.run_script(self.server(workers), self._whole_environment(), self.log)
        return self.process

    def spawn_anew(self, workers: int = 2) -> subprocess.Popen[bytes]:
        """Do the same from the very beginning of Python, which takes longer."""
        with self.log.open("ab") as log:
            self.process = process = subprocess.Popen(
                self.server(workers),
                cwd=ROOT,
                env=self._whole_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return process

    def server(self, workers: int) -> list[str]:
        """Return gunicorn's command but for the application."""
        gunicorn = [str(Path(sys.executable).parent / "gunicorn"), "--config", "python:keyportal.gunicorn"]
        return [*gunicorn, *self.listens_at(), "--workers", str(workers)]

    def listens_at(self) -> list[str]:
        """Return gunicorn's options for where it listens."""
        return ["--bind", f"127.0.0.1:{self.port}"]

    def line(self) -> HTTPConnection:
        """Return a connection to the server that is not opened yet."""
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
        """Return whether the process answers at all."""
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
        """Send one request and return the answer, whatever its status; redirects are not followed.

        Names of headers are sent as they are written, underscores and all.
        """
        sent = {"Connection": "close", **({} if body is None else {"Content-Type": FORM}), **(headers or {})}
        with closing(self.line()) as line:
            line.request(method, path, body, sent)
            answer = line.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())

    def send_raw(self, raw: bytes) -> bytes:
        """Send bytes as they are, for what no HTTP client would send; return all that came back."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)) as connection:
            connection.sendall(raw)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
            return bytes(received)

    def messages(self) -> list[str]:
        """Return every message, oldest first, as soon as all that was committed has been sent."""
        wait_until(lambda: self.shell(WAITING) == "0")
        files = sorted(self.outbox.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        texts = [text for path in files for text in path.read_text().split(f"\n{'-' * 79}\n")]
        return [text for text in texts if text.strip()]

    def confirmation_link(self, email: str) -> str:
        """Return the newest confirmation link that was sent to this address."""
        for message in reversed(self.messages()):
            found = re.search(r"http\S+/accounts/confirm-email/\S+", message.replace("=\n", ""))
            if found and f"To: {email}" in message:
                return found[0]
        raise AssertionError(f"no confirmation was sent to {email}")

    def shell(self, code: str) -> str:
        """Run Python in the portal's shell, with every model at hand; return the last line that it printed."""
        lines = self._run(code=code)["out"].strip().splitlines()
        return lines[-1] if lines else ""

    def manage(self, *command: str) -> str:
        """Run `manage.py …` in the portal's shell, without a start of its own; return what it printed."""
        return self._run(command=list(command))["out"]

    def make_developer(self, email: str, password: str = "correct horse battery staple") -> str:
        """Make a confirmed developer by the command and return their id."""
        command = ["createdeveloper", email, "--confirmed", "--password-stdin"]
        return self._run(command=command, stdin=password + "\n")["out"].strip()

    def make_key(self, email: str, *arguments: str, name: str = "a key") -> tuple[str, str]:
        """Make a key by the command and return its id and its secret."""
        made = self._run(command=["createkey", email, "--name", name, *arguments])
        return made["err"].strip(), made["out"].strip()

    def revoke_key(self, key: str, reason: str = "test") -> None:
        """Revoke a key by the command."""
        self._run(command=["revokekey", key, "--reason", reason])

    def forget_guesses(self) -> None:
        """Forget every count of tries and log-ins: all tests come from one address, and count together."""
        self.shell(FORGET_GUESSES)

    def _run(self, **request: Any) -> dict[str, str]:
        """Run something in the portal's shell, which is started at the first call. Raises what it raised."""
        if self.console is None:
            self.console = Console(self._whole_environment(), log=self.folder / "console.log")
        answer = self.console.run(request)
        if answer["error"]:
            raise RuntimeError(answer["error"])
        return answer
