"""The services of examples/ as their readers run them: each in a virtual environment of its own, from the wheel."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.gateways import started
from tests.portal import ROOT
from tests.ports import free_port
from tests.waiting import DEADLINE

SERVICES: Final = {
    "fastapi": (["uvicorn"], ["uvicorn", "fastapi_service:app", "--port", "{port}"]),
    "flask": ([], ["flask", "--app", "flask_service", "run", "--port", "{port}"]),
    "drf": ([], ["python", "drf_service.py", "runserver", "--noreload", "{port}"]),
}
"""By the name of the extra: what else it needs, and the command of the file's first lines."""
PIP: Final = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


class Reply(NamedTuple):
    """What a service answered."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def make_environment(folder: Path, wheel: Path, extra: str) -> Path:
    """Make a virtual environment with the wheel, its extra and nothing else; return its folder of commands."""
    pinned = folder.parent / "pinned.txt"
    lines = (ROOT / "requirements-dev.txt").read_text() + (ROOT / "requirements.txt").read_text()
    found = re.findall(r"^(\w[^\[=\s]+)(?:\[.*\])?(==\S+)$", lines, re.MULTILINE)  # a constraint has no extras
    pinned.write_text("".join(f"{name}{version}\n" for name, version in found))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    needed = [f"{wheel}[{extra}]", *SERVICES[extra][0]]
    subprocess.run([*PIP, "--python", str(folder / "bin/python"), "install", "-c", str(pinned), *needed], check=True)
    return folder / "bin"


@contextmanager
def serving(extra: str, commands: Path, *, portal: str, key: str) -> Iterator[int]:
    """Run a service until the block is left, and yield its port."""
    port = free_port()
    program, *arguments = (each.format(port=port) for each in SERVICES[extra][1])
    environment = {"KEYPORTAL_PORTAL": portal, "KEYPORTAL_KEY": key, "PYTHONPATH": str(ROOT / "examples")}
    path = f"{commands}:{os.environ['PATH']}"
    files = [str(ROOT / "examples" / each) if each.endswith(".py") else each for each in arguments]
    folder = commands.parent
    with started([str(commands / program), *files], [port], folder, **{**environment, "PATH": path}):
        yield port


def ask(port: int, credential: str = "", path: str = "/reports") -> Reply:
    """Ask a service for its reports."""
    line = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    line.request("GET", path, headers={"Authorization": f"Bearer {credential}"} if credential else {})
    answer = line.getresponse()
    body = json.loads(answer.read())
    line.close()
    return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
