"""The portal's shell as one process that stays: what a test does at the command line, without a start for each line.

`Portal.shell`, `Portal.manage` and `Portal.make_…` speak to it.
"""

import io
import os
import traceback
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from tests.processes import Streams, begin
from tests.waiting import DEADLINE


class Console:
    """A shell of a portal, seen from the test."""

    def __init__(self, environment: Mapping[str, str], *, log: Path) -> None:
        self._requests, theirs = Pipe()
        streams = Streams(stdin=Path(os.devnull), stdout=log, stderr=log)
        self._process = begin(serve, theirs, environment=environment, streams=streams)
        theirs.close()

    def run(self, request: dict[str, Any]) -> dict[str, str]:
        """Run one thing and return what it printed. Raises `EOFError` if the shell has ended: see console.log."""
        self._requests.send(request)
        answer: dict[str, str] = self._requests.recv()
        return answer

    def end(self) -> None:
        """Close the shell, and wait until its process has ended."""
        self._requests.close()
        self._process.join(DEADLINE)
        if self._process.exitcode != 0:
            self._process.kill()  # if it has not ended by itself
            raise RuntimeError("the shell did not end in order: see console.log")


def do(request: dict[str, Any]) -> None:
    """Run the lines of Python, or the command, that the request holds."""
    if "code" in request:
        models = {model.__name__: model for model in apps.get_models()}
        exec(request["code"], models)  # noqa: S102  # a shell
    else:
        call_command(*request["command"])


def run_captured(request: dict[str, Any]) -> dict[str, str]:
    """Return what was printed, and the traceback if there was one."""
    out, err, error = io.StringIO(), io.StringIO(), ""
    with redirect_stdout(out), redirect_stderr(err), mock.patch("sys.stdin", io.StringIO(request.get("stdin", ""))):
        try:
            do(request)
        except Exception:  # noqa: BLE001  # it is raised again in the test
            error = traceback.format_exc()
    mock.patch.stopall()
    connections.close_all()  # as a process that ends would
    return {"out": out.getvalue(), "err": err.getvalue(), "error": error}


def serve(requests: Connection) -> None:
    """Answer each request until the other side closes the connection."""
    django.setup()
    with suppress(EOFError):
        while True:
            requests.send(run_captured(requests.recv()))
