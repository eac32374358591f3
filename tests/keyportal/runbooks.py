"""The runbooks of docs/operations.md: their commands, and what the page says that they print."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.core.management import get_commands

from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE

PAGE: Final = ROOT / "docs/operations.md"
BLOCK: Final = re.compile(r"^( *)```(sh|text)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
RESTART: Final = "systemctl restart keyportal"
RINGS: Final = ("SECRET_KEY", "KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS", "KEYPORTAL_SIGNING_KEYS")
"""The settings that are files of the folder SECRETS, under their own names."""


PYTHON: Final = """#!{real} -IS
import json, os, socket, sys
if sys.argv[1:2] != ["manage.py"]:
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
line = socket.socket(socket.AF_UNIX)
line.connect("{socket}")
line.sendall(json.dumps([sys.argv[2:], sys.stdin.read()]).encode())
line.shutdown(socket.SHUT_WR)
answer = json.load(line.makefile("r"))
sys.stdout.write(answer["out"])
sys.stderr.write(answer["err"])
sys.exit(answer["code"])
"""
"""What runs in the place of `python`."""


@dataclass(frozen=True)
class Step:
    """Some commands of a runbook, and what they print; empty if the page does not say."""

    commands: str
    prints: str

    @property
    def restarts(self) -> bool:
        """Whether the commands end with a restart of the portal."""
        return self.commands.rstrip().endswith(RESTART)


def runbook(title: str) -> list[Step]:
    """Return the steps of a runbook that have commands."""
    return _steps(PAGE.read_text().partition(f"\n### {title}\n")[2].partition("\n### ")[0])


def preamble() -> str:
    """Return the commands that come before all runbooks: the names that they use."""
    [step] = _steps(PAGE.read_text().partition("\n## Runbooks\n")[2].partition("\n### ")[0])
    return step.commands


def titles() -> list[str]:
    """Return the title of each runbook that says what an attacker can do."""
    sections = re.split(r"^### ", PAGE.read_text().partition("\n## Runbooks\n")[2], flags=re.MULTILINE)[1:]
    return [section.partition("\n")[0] for section in sections if "**What an attacker can do" in section]


def unknown_commands(text: str) -> set[str]:
    """Return the commands of manage.py that the portal does not have."""
    return set(re.findall(r"python manage\.py (\w+)", text)) - set(get_commands())


class Operator:
    """Carries out runbooks on a portal whose secrets are files of one folder."""

    def __init__(self, portal: Portal, **names: str) -> None:
        self.portal = portal
        self.folder = portal.folder
        """Where the operator is."""
        self.secrets = portal.folder / "secrets"
        self.names = {"SECRETS": str(self.secrets), "PORTAL": portal.url, **names}

    def move_secrets_into_files(self) -> None:
        """Configure the portal by files, as the page assumes. It must not be running."""
        self.secrets.mkdir(mode=0o700)
        for setting in RINGS:
            (self.secrets / setting).write_text(self.portal.environment.pop(setting))
            self.portal.environment[f"{setting}_FILE"] = str(self.secrets / setting)

    def carry_out(self, step: Step) -> str:
        """Run the commands as they stand on the page; return what they printed. Raises if one fails."""
        lines = [line for line in step.commands.splitlines() if line.strip() != RESTART]
        script = "\n".join(["umask 077", f"cd {shlex.quote(str(self.folder))}", *lines])
        with self._manage_py() as folder:
            path = f"{folder}{os.pathsep}{os.environ['PATH']}"
            ended = subprocess.run(
                ["/bin/bash", "-euo", "pipefail", "-c", script],
                env={**os.environ, **self.names, "PATH": path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=DEADLINE,
            )
        assert ended.returncode == 0, ended.stderr
        if step.restarts:
            self.portal.stop()
            self.portal.start()
        expected = ".*".join(map(re.escape, re.split("…", step.prints.strip())))
        assert re.search(expected, ended.stdout, re.DOTALL), (step.commands, ended.stdout)
        return ended.stdout

    @contextmanager
    def _manage_py(self) -> Iterator[Path]:
        """Yield a folder with a `python` that has the portal's shell run `manage.py …`: a start of Python takes longer.

        Like a new process, that shell has read the settings at the last start of the portal.
        """
        folder = Path(tempfile.mkdtemp(dir=self.portal.folder))
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(str(folder / "socket"))
            listening.listen()
            answering = threading.Thread(target=self._answer, args=(listening,), daemon=True)
            answering.start()
            program = folder / "python"
            program.write_text(PYTHON.format(real=sys.executable, socket=folder / "socket"))
            program.chmod(0o700)
            yield folder
            with closing(socket.socket(socket.AF_UNIX)) as line:
                line.connect(str(folder / "socket"))
                line.sendall(b"null")
                line.shutdown(socket.SHUT_WR)
            answering.join()

    def _answer(self, listening: socket.socket) -> None:
        while True:
            line, _ = listening.accept()
            with closing(line), line.makefile("r") as sent:
                call = json.load(sent)
                if call is None:
                    return
                line.sendall(json.dumps(self._run(*call)).encode())

    def _run(self, command: list[str], stdin: str) -> dict[str, Any]:
        if command[0] == "doctor":  # its status says how bad it is, and a person goes on
            ended = self.portal.command(*command, check=False)
            return {"code": 0, "out": ended.stdout, "err": ended.stderr}
        try:
            return {"code": 0, **self.portal._run(command=command, stdin=stdin)}
        except RuntimeError as error:
            return {"code": 1, "out": "", "err": str(error)}


def _steps(section: str) -> list[Step]:
    """Return each block of commands with the block of text that follows it."""
    steps: list[Step] = []
    for indent, kind, text in BLOCK.findall(section):
        lines = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        if kind == "sh":
            steps.append(Step(lines, ""))
        else:
            steps[-1] = Step(steps[-1].commands, lines)
    return steps
