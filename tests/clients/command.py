"""The command `keyportal`, as a user runs it: a process, its own folder, its own environment."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.portal import ROOT
from tests.waiting import DEADLINE

PASSWORD: Final = "correct horse battery staple"
NO_KEYRING: Final = "keyring.backends.fail.Keyring"
KEYRINGS: Final = "tests.clients.keyrings"
MODULE: Final = (sys.executable, "-m", "keyportal_client.cli")
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
Ended = subprocess.CompletedProcess[str]


class Command:
    """Runs the command for one user of a machine."""

    def __init__(
        self, folder: Path, portal: str = "", *, program: tuple[str, ...] = MODULE, **environment: str
    ) -> None:
        self.folder = folder
        self.program = program
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{ROOT / 'clients/python'}:{ROOT}",
            "PYTHON_KEYRING_BACKEND": NO_KEYRING,
            "KEYPORTAL_CONFIG_DIR": str(folder / "config"),
            **({"KEYPORTAL_PORTAL": portal} if portal else {}),
            **environment,
        }

    def with_environment(self, **environment: str) -> "Command":
        """Return the same user's command with other variables."""
        other = Command(self.folder, program=self.program)
        other.environment = {**self.environment, **environment}
        return other

    def __call__(self, *arguments: str, stdin: str | None = None) -> Ended:
        """Run it and return how it ended. Without text for it, there is no standard input."""
        return subprocess.run(
            [*self.program, *arguments],
            env=self.environment,
            cwd=self.folder,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def begin(self, *arguments: str, **how: Any) -> subprocess.Popen[str]:
        """Start it and return its process, which heeds every signal, whatever the tests were started to ignore."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        command = ["env", "--default-signal", *self.program, *arguments]
        return subprocess.Popen(command, env=self.environment, cwd=self.folder, text=True, **pipes)

    def done(self, *arguments: str, stdin: str | None = None) -> Ended:
        """Run it, and see that it succeeds."""
        ended = self(*arguments, stdin=stdin)
        assert ended.returncode == 0, ended.stderr
        return ended

    def json(self, *arguments: str) -> Any:
        """Run it with `--json` and return what it printed."""
        return json.loads(self.done(*arguments, "--json").stdout)

    def on_terminal(self, *arguments: str, answers: Mapping[str, str] = NOTHING, columns: int = 80) -> tuple[int, str]:
        """Run it on a terminal of its own; return its exit status, and all that the terminal showed.

        `answers` says what to type after each question. What is typed before it, a hidden question forgets.
        """
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *self.program, *arguments],
            env={**self.environment, "COLUMNS": str(columns), "TERM": "xterm"},
            cwd=self.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = "".join(_talk(ours, dict(answers)))
        return process.wait(DEADLINE), shown

    def log_in(self, portal: str, email: str) -> Ended:
        """Log in with the password that all developers of the tests have."""
        return self.done("login", "--portal", portal, "--email", email, "--password-stdin", stdin=PASSWORD + "\n")

    @property
    def logins(self) -> Path:
        """The file of log-ins."""
        return Path(self.environment["KEYPORTAL_CONFIG_DIR"]) / "logins.json"


def _talk(terminal: int, answers: dict[str, str]) -> Iterator[str]:
    """Yield what a terminal shows, and type the answers to its questions."""
    asked = ""
    try:
        while chunk := os.read(terminal, 65536).decode():
            yield chunk
            asked += chunk
            for question in [question for question in answers if question in asked]:
                os.write(terminal, answers.pop(question).encode())
    except OSError:  # Linux says so when the last process has left the terminal
        pass
    finally:
        os.close(terminal)
