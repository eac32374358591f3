"""The settings, as the system checks judge them, and the files that hold secrets."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, run_checks

from keyportal.doctor.findings import Finding, Level, note, problem
from keyportal.local.private_files import OTHERS

OF_CHECKS: Final = "docs/configuration.md explains this check under its id."
READABLE: Final = problem(
    "file_readable",
    meaning="Other users of this machine can read a file that holds the server's secrets.",
    advice="Take the right to read from others: `chmod o=`. The portal's user, or its group, needs it.",
)
LOCAL: Final = note(
    "local_mode",
    meaning="Local mode shows all messages to everyone who reaches the portal. It is for one machine.",
    advice="Leave KEYPORTAL_LOCAL out in production.",
)
ROOT: Final = note(
    "runs_as_root",
    meaning="A portal that runs as root gives the whole host to an attacker who takes it over. A command that does "
    "sees files and limits as root does, not as the portal.",
    advice="Give the portal a user of its own, and run commands as that user.",
)


def examine() -> Iterator[Finding]:
    """Yield what the system checks say, `--deploy` included, and what is wrong with files of secrets."""
    for message in run_checks(tags=["keyportal"], include_deployment_checks=True):
        if message.level >= WARNING:
            yield of_check(message)
    for name, path in _files_of_secrets().items():
        if _others_can_read(path):
            yield READABLE.found(f"The file of {name} can be read by others.")
    if settings.KEYPORTAL_LOCAL:
        yield LOCAL.found("KEYPORTAL_LOCAL is on.")
    if os.geteuid() == 0:
        yield ROOT.found("This process runs as root.")


def of_check(message: CheckMessage) -> Finding:
    """Return a finding for what a system check says."""
    level = Level.PROBLEM if message.level >= ERROR else Level.WARNING
    code = str(message.id).removeprefix("keyportal.")
    return Finding(code=code, level=level, seen=str(message.msg), meaning=OF_CHECKS, advice=message.hint or "")


def _files_of_secrets() -> dict[str, Path]:
    env_file = Path(settings.BASE_DIR, settings.KEYPORTAL_ENV_FILE)
    return {**({"KEYPORTAL_ENV_FILE": env_file} if env_file.is_file() else {}), **settings.KEYPORTAL_SETTINGS_FILES}


def _others_can_read(path: Path) -> bool:
    """Return whether others than the owner and the group, who may be the portal and its administrators, can read it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return bool(mode & OTHERS & 0o007)
