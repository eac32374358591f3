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

from tests.edges import running_edge
from tests.gateways import started
from tests.portal import ROOT
from tests.ports import free_port
from tests.waiting import DEADLINE


class Service(NamedTuple):
    """How an example is installed and run, by the first lines of its file."""

    file: str
    extras: str
    command: str
    beside: str = ""
    """What else it needs."""
    is_behind_nginx: bool = False


SERVICES: Final = {
    "fastapi": Service("fastapi_service", "[fastapi]", "uvicorn fastapi_service:app --port {port}", "uvicorn"),
    "flask": Service("flask_service", "[flask]", "flask --app flask_service run --port {port}"),
    "drf": Service("drf_service", "[drf]", "python drf_service.py runserver --noreload {port}"),
    "nginx": Service(
        "behind_nginx", "[flask,tokens]", "flask --app behind_nginx run --port {port}", is_behind_nginx=True
    ),
}
CONSUMER: Final = Service("consumer", "", "python consumer.py")
EXAMPLES: Final = ROOT / "examples"
PIP: Final = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


class Reply(NamedTuple):
    """What a service answered."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def make_environment(folder: Path, wheel: Path, service: Service) -> Path:
    """Make a virtual environment with the wheel, its extras and nothing else; return its folder of commands."""
    pinned = folder.parent / "pinned.txt"
    lines = (ROOT / "requirements-dev.txt").read_text() + (ROOT / "requirements.txt").read_text()
    found = re.findall(r"^(\w[^\[=\s]+)(?:\[.*\])?(==\S+)$", lines, re.MULTILINE)  # a constraint has no extras
    pinned.write_text("".join(f"{name}{version}\n" for name, version in found))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    needed = [f"{wheel}{service.extras}", *service.beside.split()]
    subprocess.run([*PIP, "--python", str(folder / "bin/python"), "install", "-c", str(pinned), *needed], check=True)
    return folder / "bin"


def command_of(service: Service, commands: Path, *, port: int = 0) -> list[str]:
    """Return the command of an example, in its environment."""
    program, *arguments = service.command.format(port=port).split()
    files = [str(EXAMPLES / each) if each.endswith(".py") else each for each in arguments]
    return [str(commands / program), *files]


@contextmanager
def serving(service: Service, commands: Path, *, portal: str, key: str) -> Iterator[int]:
    """Run a service until the block is left, and yield its port."""
    port, folder = free_port(), commands.parent
    path = f"{commands}:{os.environ['PATH']}"
    environment = {"KEYPORTAL_PORTAL": portal, "PYTHONPATH": str(EXAMPLES), "PATH": path}
    if not service.is_behind_nginx:
        environment["KEYPORTAL_KEY"] = key
    with started(command_of(service, commands, port=port), [port], folder, **environment):
        if not service.is_behind_nginx:
            yield port
            return
        (folder / "keyportal.key").write_text(key)
        with running_edge(folder, free_port(), portal, port, as_shipped=True) as edge:
            yield edge.port


def text_of(service: Service) -> str:
    """Return an example's file."""
    return (EXAMPLES / f"{service.file}.py").read_text()


def ask(port: int, credential: str = "", path: str = "/reports") -> Reply:
    """Ask a service for its reports."""
    line = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    line.request("GET", path, headers={"Authorization": f"Bearer {credential}"} if credential else {})
    answer = line.getresponse()
    body = json.loads(answer.read())
    line.close()
    return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
