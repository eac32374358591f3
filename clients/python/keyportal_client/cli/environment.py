"""What the environment says: the portal and key of a machine, the folder, the timeout."""

import os
from pathlib import Path

from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.transport import TIMEOUT


def portal() -> str:
    """Return KEYPORTAL_PORTAL; empty if it is not set."""
    return os.environ.get("KEYPORTAL_PORTAL", "").strip()


def key() -> str:
    """Return KEYPORTAL_KEY; empty if it is not set."""
    return os.environ.get("KEYPORTAL_KEY", "").strip()


def folder() -> Path:
    """Return the folder of the log-ins (XDG Base Directory Specification). Raises `StoppedError`."""
    if ours := os.environ.get("KEYPORTAL_CONFIG_DIR"):
        return Path(ours)
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "keyportal"
    except RuntimeError as error:
        raise StoppedError("This user has no home folder. Set KEYPORTAL_CONFIG_DIR.", ExitStatus.USAGE) from error


def timeout() -> float:
    """Return for how many seconds to wait for an answer. Raises `StoppedError` for what is no such number."""
    text = os.environ.get("KEYPORTAL_TIMEOUT", "").strip()
    if not text:
        return TIMEOUT
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= 3600):  # noqa: PLR2004  # an hour
        raise StoppedError("KEYPORTAL_TIMEOUT must be a number of seconds from 1 to 3600.", ExitStatus.USAGE)
    return float(text)
