"""The file of log-ins: to which portals, as whom, and where the secret of each is. Mode 0600, replaced as a whole."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from keyportal_client.cli.exit_status import StoppedError
from keyportal_client.cli.private_file import PrivateFile

NAME: Final = "logins.json"
LOCK: Final = "lock"
LOCK_TIMEOUT: Final = 60.0
"""Seconds to wait for the lock. Its holder waits for a portal, and perhaps for a keyring."""
_OFTEN: Final = 0.05
"""Seconds between two tries."""
Kind = Literal["login", "key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One log-in. Without its secret here, the secret is in the system's keyring."""

    kind: Kind
    who: str
    """The e-mail address of the account, or the id of the key."""
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LoginFile:
    """What the file holds: the portal that commands are for, and the log-ins by portal."""

    portal: str = ""
    logins: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "LoginFile":
        """Return what the file holds; nothing if there is none. Raises `StoppedError`."""
        path = folder / NAME
        try:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)  # copied or restored by something that did not care
            held: Any = json.loads(path.read_text(encoding="utf-8"))
            logins = {str(portal): Entry(**entry) for portal, entry in held["logins"].items()}
            return cls(str(held["portal"]), logins)
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise StoppedError(f"{path} can't be read: {error.strerror}.") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoppedError(f"{path} is damaged. Remove it, and log in again: keyportal login") from error

    def write(self, folder: Path) -> None:
        """Replace the file. Raises `StoppedError`."""
        held = {"portal": self.portal, "logins": {portal: asdict(entry) for portal, entry in self.logins.items()}}
        try:
            with PrivateFile((folder / NAME).resolve()) as file:  # the folder is the user's own, and so is a link in it
                file.write(json.dumps(held, indent=2) + "\n")
        except OSError as error:
            raise StoppedError(f"{folder / NAME} can't be written: {error.strerror}.") from error

    def with_login(self, portal: str, entry: Entry) -> "LoginFile":
        """Return the file with a log-in added or replaced."""
        return LoginFile(self.portal, {**self.logins, portal: entry})

    def without_login(self, portal: str) -> "LoginFile":
        """Return the file without a log-in; commands are for another portal then, if there is one."""
        logins = {name: entry for name, entry in self.logins.items() if name != portal}
        return LoginFile(self.portal if self.portal in logins else next(iter(logins), ""), logins)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock under which log-ins change, so that one process does it at a time. Raises `StoppedError`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise StoppedError(f"{folder} can't be written: {error.strerror}.") from error
    with lock:
        _take(lock)
        yield


def _take(lock: TextIO) -> None:
    """Take the lock as soon as it is free. Whoever has it is stopped or hangs if that takes a minute."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                message = "Another keyportal command is busy with the log-in and does not end. End it, and try again."
                raise StoppedError(message) from error
        time.sleep(_OFTEN)
