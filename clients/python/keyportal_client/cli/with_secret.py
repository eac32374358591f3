"""Run a command of the user's with a secret in a private file, whose path is all that the command line shows."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from keyportal_client.cli.uninterrupted import handling, uninterrupted

PLACEHOLDER: Final = "{}"
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


def run_with_secret(arguments: Sequence[str], secret: str) -> str:
    """Run the command; return how it failed, empty if it did not. The file is removed in every case.

    What the command writes to standard output goes to standard error: standard output is for results.
    """
    # The file is removed before a signal ends the process.
    with handling(_ENDING, _interrupt), tempfile.TemporaryDirectory(prefix="keyportal-", dir=_base()) as folder:
        path = Path(folder) / "secret"
        path.touch(mode=0o600)
        path.write_text(secret, encoding="utf-8")
        words = [argument.replace(PLACEHOLDER, str(path)) for argument in arguments]
        try:
            status = _status_of(words)
        except OSError as error:
            return f"could not be started ({error.strerror})"
    if status < 0:
        return f"was ended by signal {-status}"
    return f"failed with status {status}" if status else ""


def _status_of(words: Sequence[str]) -> int:
    """Run a program and return its status, negative for a signal. It never outlives an interruption.

    `subprocess.run` loses a program that has begun if a signal comes before the constructor has returned.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with uninterrupted():
            process = subprocess.Popen(words, stdout=sys.stderr)  # noqa: S603  # it is what the user asked for
        return process.wait()
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _base() -> str | None:
    """Return the folder of this user's session, which is in memory and goes with it; None for the usual one."""
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    return folder if Path(folder).is_absolute() and os.access(folder, os.W_OK) else None


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
