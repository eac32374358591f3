"""What goes where: results to standard output and nothing else; everything said to a person to standard error."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Final, TextIO, cast

from keyportal_client.cli.exit_status import ClosedOutputError
from keyportal_client.cli.inert import without_secrets

_BOLD: Final = "1"
_COLOURS: Final = {"active": "32", "paused": "33", "expired": "2", "revoked": "31"}


def emit(text: str) -> None:
    """Write a line to standard output. Raises `ClosedOutputError`."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        _silence(sys.stdout)
        raise ClosedOutputError("Standard output is closed or full.") from error


def emit_json(value: object) -> None:
    """Write JSON to standard output, in ASCII: what a name contains can't reach a terminal."""
    emit(json.dumps(value, indent=2))


def say(text: str) -> None:
    """Write a line to standard error. That it is closed is no reason to fail."""
    with contextlib.suppress(OSError):
        sys.stderr.write(without_secrets(text) + "\n")
        sys.stderr.flush()


def prepare_streams() -> None:
    """Have characters that the terminal's encoding lacks written as escapes, and a missing stream behave as closed."""
    sys.stdin = sys.stdin or _nothing("r")
    sys.stdout = sys.stdout or _nothing("r")  # writing to it fails, as it should
    sys.stderr = sys.stderr or _nothing("w")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def heading(text: str) -> str:
    """Return a text in bold, where there is colour."""
    return _styled(text, _BOLD)


def coloured_state(state: str, shown: str) -> str:
    """Return a key's state in its colour, where there is colour."""
    return _styled(shown, _COLOURS[state]) if state in _COLOURS else shown


def _styled(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if _has_colour() else text


def _has_colour() -> bool:
    """Return whether standard output shows colour, and nobody objects (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _nothing(mode: str) -> TextIO:
    """Return a stream that holds nothing, for one that Python began without."""
    return cast("TextIO", Path(os.devnull).open(mode, encoding="utf-8"))


def _silence(stream: TextIO) -> None:
    """Let what a closed stream still holds go nowhere: Python would complain about it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
