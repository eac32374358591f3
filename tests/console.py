"""The portal's shell as one process that stays: what a test does at the command line, without a start for each line.

It reads one JSON request a line and answers one JSON object a line. `Portal.shell` and `Portal.make_…` speak to it.
"""

import hashlib
import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import django
from django.apps import apps
from django.contrib.auth import hashers
from django.core.management import call_command
from django.db import connections


def do(request: dict[str, Any]) -> None:
    """Run the lines of Python, or the command, that the request holds."""
    if "code" in request:
        models = {model.__name__: model for model in apps.get_models()}
        exec(request["code"], models)  # noqa: S102  # a shell
    else:
        call_command(*request["command"])


def answered(request: dict[str, Any]) -> dict[str, str]:
    """Give what was printed, and the traceback if there was one."""
    out, err, error = io.StringIO(), io.StringIO(), ""
    with redirect_stdout(out), redirect_stderr(err), mock.patch("sys.stdin", io.StringIO(request.get("stdin", ""))):
        try:
            do(request)
        except Exception:  # noqa: BLE001  # it is raised again by the test that asked
            error = traceback.format_exc()
    mock.patch.stopall()
    connections.close_all()  # as a process that ends would
    return {"out": out.getvalue(), "err": err.getvalue(), "error": error}


def main() -> None:
    """Begin, and serve."""
    django.setup()
    with mock.patch("django.contrib.auth.base_user.make_password", hashed):
        serve()


def hashed(password: str | None) -> str:
    """Hash a password as the portal does, once in a run: it is slow on purpose, and most developers have the same."""
    named = hashlib.sha256(repr(password).encode()).hexdigest()
    file = Path(os.environ["TEST_HASHES"]) / named
    if not file.exists():
        written = file.with_name(f"{named}.{os.getpid()}")
        written.write_text(hashers.make_password(password))
        written.rename(file)
    return file.read_text()


def serve() -> None:
    """Answer until the input ends: on standard output, because that is the protocol."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answered(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
