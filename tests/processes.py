"""Processes of the portals that begin at once: forked from one that has imported every library beforehand.

A start of Python with everything that the portal uses costs most of a second of work, half of it imports, and the tests
start hundreds. Such a process has an environment, a folder, an input, an output and an end of its own, and reads the
portal's modules afresh. What is about the start itself goes without this: `Portal.spawn_anew`, `Portal.begin` and
`Portal.start_command`.
"""

import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from tests.waiting import DEADLINE

ROOT: Final = Path(__file__).resolve().parent.parent
LIBRARIES: Final = (
    "django.contrib.admin",
    "django.contrib.postgres.fields",
    "django.core.handlers.wsgi",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "fido2.webauthn",
    "gunicorn.app.wsgiapp",
    "jwt",
    "limits",
    "prometheus_client.openmetrics.exposition",
    "redis",
    "uvloop",
)
"""What needs no settings, and so may be there before them."""


class Streams(NamedTuple):
    """The files that are a process's input and output."""

    stdin: Path
    stdout: Path
    stderr: Path


class Forked:
    """A process that was forked, with the names that `subprocess.Popen` has for it."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.terminate = process.terminate

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait until it has ended; return its exit code. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code


@cache
def context() -> ForkServerContext:
    """Return where processes are forked. Its own process begins with the first of them."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(list(LIBRARIES))
    return forking


def begin(
    task: Callable[..., None], *given: Any, environment: Mapping[str, str], streams: Streams
) -> ForkServerProcess:
    """Start a process that does the task with what it is given; return it."""
    process = context().Process(target=_become, args=(task, given, dict(environment), streams), daemon=True)
    process.start()
    return process


def manage(arguments: tuple[str, ...], environment: Mapping[str, str], stdin: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py …` to its end; return what it printed. Raises `subprocess.TimeoutExpired` after the deadline."""
    with TemporaryDirectory(prefix="keyportal-command-") as folder:
        streams = Streams(*(Path(folder) / name for name in Streams._fields))
        streams.stdin.write_text(stdin)
        process = begin(_command, arguments, environment=environment, streams=streams)
        process.join(DEADLINE)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, DEADLINE)
        out, err = streams.stdout.read_text(), streams.stderr.read_text()
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


def run_script(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
    """Start a script that Python runs, such as `gunicorn`, with its arguments; return its process."""
    log.touch()  # who waits for a line looks before the process has opened it
    streams = Streams(stdin=Path(os.devnull), stdout=log, stderr=log)
    return Forked(begin(_script, command, environment=environment, streams=streams))


def _become(task: Callable[..., None], given: tuple[Any, ...], environment: dict[str, str], streams: Streams) -> None:
    """Take the place that a process of its own would have, and do the task."""
    gc.disable()  # it ends before there is garbage to speak of
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    if environment["PYTHONPATH"]:
        runpy.run_path(str(Path(environment["PYTHONPATH"]) / "sitecustomize.py"))  # as Python does at its start
    for number, (name, file) in enumerate(streams._asdict().items()):
        with file.open("r" if name == "stdin" else "a") as opened:
            os.dup2(opened.fileno(), number)
        setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))
    task(*given)


def _script(command: Sequence[str]) -> None:
    """Be a script."""
    sys.argv = [*command]
    runpy.run_path(command[0], run_name="__main__")


def _command(arguments: tuple[str, ...]) -> None:
    """Be `manage.py`. An exception is told as Python tells it, by the hook that manage.py has set."""
    sys.argv = ["manage.py", *arguments]
    try:
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")
    except Exception:  # noqa: BLE001  # as at the end of any process
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
